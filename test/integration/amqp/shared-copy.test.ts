import { setTimeout as sleep } from 'node:timers/promises'
import amqplib from 'amqplib'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { until } from '../../../src/testing/contract.js'
import { type AmqpOptions, amqp } from '../../../src/transports/amqp/index.js'
import { openDatabase, whyNoServer } from '../../support/postgres.js'
import { AMQP_URL, RecordingClient, uniquePrefix, whyNoRabbitMq } from '../../support/rabbitmq.js'
import { openSharedCopies } from '../../support/shared-copies.js'

const missing = (await whyNoRabbitMq()) ?? (await whyNoServer())
const client = new RecordingClient()

describe.skipIf(missing !== undefined)('a shared copy in PostgreSQL, fed by RabbitMQ', () => {
  const database = missing === undefined ? openDatabase() : undefined
  const opened: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const end of opened.splice(0).reverse()) await end()
  })
  afterAll(() => client.cleanUp())

  async function open(replay: NonNullable<AmqpOptions['replay']>) {
    const prefix = uniquePrefix()
    const tables = (await database?.prefix()) ?? ''
    const copies = await openSharedCopies({
      connect: () => amqp({ url: AMQP_URL, client, prefix, replay }),
      openStore: async () => (await database?.store({ prefix: tables })) as never,
    })
    opened.push(copies.close)
    return { ...copies, prefix }
  }

  it('is ready only when what happened while no instance ran is in it', async () => {
    const { open: instance, publish, upTo } = await open(true)
    const first = await instance()
    await first.model.start()
    await publish(10)
    await until(async () => (await first.numbers())?.length === 10)
    await first.model.close()
    await publish(300)
    // So that whoever does not wait for the rows is found out.
    const slow = async (key: string) => void (key.includes('/row/') && (await sleep(2)))
    const [second, third] = [await instance({}, slow), await instance()]
    await Promise.all([second.model.start(), third.model.start()])
    for (const one of [second, third]) {
      expect(await one.numbers()).toEqual(upTo(310))
      expect(one.model.status.isReady).toBe(true)
    }
  }, 60_000)

  it('has every event once, through what happens while it is loaded, a build that is broken off, and a keeper that is killed', async () => {
    const { open: instance, publish, upTo } = await open(true)
    const load = async () => {
      await publish(50)
      return []
    }
    async function* loading() {
      yield* await load()
    }
    let rows = 0
    const dying = await instance({ load: loading }, async (key) => {
      if (key.includes('/row/')) rows += 1
      if (rows === 20) dying.kill()
    })
    // It comes to nothing, as its store does not answer any more.
    void dying.model.start().catch(() => {})
    await until(() => rows >= 20, 20_000)
    const [second, third] = [await instance(), await instance()]
    await Promise.all([second.model.start(), third.model.start()])
    expect(await second.numbers()).toEqual(upTo(50))
    await publish(100)
    second.kill()
    third.kill()
    const fourth = await instance()
    await fourth.model.start()
    expect(await fourth.numbers()).toEqual(upTo(150))
    await publish(10)
    await until(async () => (await fourth.numbers())?.length === 160, 10_000)
    expect(await fourth.numbers()).toEqual(upTo(160))
  }, 120_000)

  it('goes on from a queue, and is refused, or loaded anew, when that was deleted', async () => {
    const { open: instance, publish, prefix, upTo } = await open('queues')
    const first = await instance({ load: () => [] })
    await first.model.start()
    await publish(100)
    await until(async () => (await first.numbers())?.length === 100, 10_000)
    await first.model.close()
    await publish(100)
    const second = await instance()
    await second.model.start()
    expect(await second.numbers()).toEqual(upTo(200))
    await second.model.close()
    const connection = await amqplib.connect(AMQP_URL)
    await (await connection.createChannel()).deleteQueue(`${prefix}.results.kept.read-model.things.1.~shared`)
    await connection.close()
    await publish(1)
    await expect((await instance()).model.start()).rejects.toMatchObject({ code: 'ERR_NOT_REBUILDABLE' })
    const third = await instance({ load: () => [{ key: 'a', state: upTo(201) }] })
    await third.model.start()
    await publish(1)
    await until(async () => (await third.numbers())?.length === 202, 10_000)
  }, 60_000)

  it('is refused without a stream and without a queue, with the option that is missing', async () => {
    const { open: instance } = await open(false)
    const { model } = await instance({ load: () => [] })
    await expect(model.start()).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining('its option replay'),
    })
  })
})
