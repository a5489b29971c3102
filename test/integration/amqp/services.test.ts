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

describe.skipIf(missing !== undefined)('two services with stores of their own on one RabbitMQ', () => {
  /** Each with a command of its own; the one worker answers both. */
  async function start(...services: readonly string[]) {
    const options = { url: AMQP_URL, prefix: uniquePrefix(), client }
    const names = ['A', 'B']
    const worker = createWorker({ transport: amqp(options) })
    ends.push(() => worker.close())
    for (const name of names) worker.handle(`${name}::Asked`, () => ({ type: `${name}::Done`, data: name }))
    await worker.start()
    const open = async (name: string, at: number) => {
      const service = services[at] ?? 'gateway'
      const gateway = createGateway({ transport: amqp(options), store: memoryStore(), service })
      const command = gateway.command({ publish: `${name}::Asked`, outcomes: { [`${name}::Done`]: 'succeeded' } })
      const errors: GatewayError[] = []
      gateway.on('error', (error) => errors.push(error))
      await gateway.start()
      ends.push(() => gateway.close())
      return { gateway, errors, ask: () => command.request({}, { waitMs: 0 }) }
    }
    return Promise.all(names.map(open))
  }

  it('with names of their own each records its own results', async () => {
    const both = await start('users', 'orders')
    for (const { ask, gateway } of [...both, ...both, ...both]) {
      const { operation } = await ask()
      expect(await gateway.operations.wait(operation.id, { waitMs: 5000 })).toMatchObject({ state: 'succeeded' })
    }
    expect(both.map(({ errors }) => errors)).toEqual([[], []])
  })

  it('under one name the one that gets a result of the other says so', async () => {
    const both = await start()
    const swapped = [...both].reverse()
    // Not in turns, as readers of one queue take turns too.
    for (const { ask } of [...both, ...swapped, ...both, ...swapped]) await ask()
    const message = expect.stringMatching(/^[AB]::Done is no result .* same name, "gateway"\? .* \(option service\)\.$/)
    await expect
      .poll(() => both.flatMap(({ errors }) => errors), { timeout: 5000 })
      .toContainEqual(expect.objectContaining({ code: 'ERR_CONFIG', message }))
    // Once, whatever else it gets.
    for (const { errors } of both) expect(errors.length).toBeLessThanOrEqual(1)
  })
})
