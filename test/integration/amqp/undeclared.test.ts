import { createGateway, type GatewayError, memoryStore } from 'respond-async'
import { amqp } from 'respond-async/amqp'
import { createWorker } from 'respond-async/worker'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { AMQP_URL, RecordingClient, uniquePrefix, whyNoRabbitMq } from '../../support/rabbitmq.js'

const missing = await whyNoRabbitMq()
const client = new RecordingClient()
const ends: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})
afterAll(() => (missing === undefined ? client.cleanUp() : undefined))

describe.skipIf(missing !== undefined)('a result of a type that its command on RabbitMQ does not declare', () => {
  /** A worker that answers with one type, and what makes gateways that declare another. */
  async function start(answer: string) {
    const options = { url: AMQP_URL, prefix: uniquePrefix(), client }
    const store = memoryStore()
    const worker = createWorker({ transport: amqp(options) })
    ends.push(() => worker.close())
    await worker.handle('A::Asked', () => ({ type: answer, data: {} })).start()
    return async (type: string) => {
      const gateway = createGateway({ transport: amqp(options), store })
      const errors: GatewayError[] = []
      gateway.on('error', (error) => errors.push(error))
      const command = gateway.command({ publish: 'A::Asked', outcomes: { [type]: 'succeeded' } })
      await gateway.start()
      ends.push(() => gateway.close())
      return { gateway, errors, ask: (waitMs: number) => command.request({}, { waitMs }) }
    }
  }

  it.each([
    ['waits', 1000],
    ['does not wait', 0],
  ])('FM-A13 is reported and kept, also with a durable store: the client %s', async (_, waitMs) => {
    const open = await start('A::Crated')
    const { gateway, errors, ask } = await open('A::Created')
    expect(await ask(waitMs)).toMatchObject({ kind: 'accepted' })
    await expect.poll(() => errors, { timeout: 5000 }).toMatchObject([{ code: 'ERR_UNEXPECTED_RESULT' }])
    expect(errors[0]?.message).toMatch(/^A::Crated is no result of A::Asked; there are: /)
    expect(gateway.counters).toMatchObject({ unexpected: 1, orphan: 1, completed: 0 })
  })

  it('FM-D14 of a newer release ends its operation as soon as a gateway of that release is there', async () => {
    const open = await start('A::Renewed')
    const older = await open('A::Created')
    const { operation } = await older.ask(0)
    await expect.poll(() => older.gateway.counters.orphan, { timeout: 5000 }).toBe(1)
    await older.gateway.close()
    const newer = await open('A::Renewed')
    expect(await newer.gateway.operations.wait(operation.id, { waitMs: 15_000 })).toMatchObject({ state: 'succeeded' })
    expect(newer.errors).toEqual([])
  })
})
