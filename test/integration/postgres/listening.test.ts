import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { newOperation, resultOf } from '../../support/operations.js'
import { DATABASE_URL, openDatabase, whyNoServer } from '../../support/postgres.js'

const reason = await whyNoServer()

describe.skipIf(reason)(`LISTEN of the Postgres store${reason ? `, ${reason}` : ''}`, () => {
  const database = openDatabase()

  /** Two stores, of which the second listens by connections that can be found and cut. */
  async function openPair(pollMs = 20) {
    const prefix = await database.prefix()
    const name = `${database.schema} ${prefix}`
    let connections = 0
    const listen = () => {
      connections += 1
      return new pg.Client({ connectionString: DATABASE_URL, application_name: name })
    }
    const [one, two] = [await database.store({ prefix }), await database.store({ prefix, listen, pollMs })]
    await Promise.all([one.start(), two.start()])
    const heard: string[] = []
    await two.watch?.((id, operation) => operation === undefined && heard.push(id))
    const cut = async () => {
      const text = 'select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1'
      return (await database.pool.query(text, [name])).rowCount
    }
    const isListening = async () => {
      const text = `select 1 from pg_stat_activity where application_name = $1 and state = 'idle' and query like 'LISTEN%'`
      return (await database.pool.query(text, [name])).rowCount === 1
    }
    const close = () => Promise.all([one.close(), two.close()])
    return { one, two, heard, cut, isListening, close, count: () => connections }
  }

  it('one notification tells of a whole batch', async () => {
    const { one, heard, close } = await openPair()
    const made = await Promise.all(Array.from({ length: 100 }, () => one.create(newOperation())))
    await Promise.all(made.map(({ operation: { id } }) => one.complete(id, resultOf(`of ${id}`))))
    await expect.poll(() => new Set(heard).size, { timeout: 10_000 }).toBe(100)
    await close()
  })

  it('a lost connection is made again, and changes in between are heard of', async () => {
    const { one, two, heard, cut, isListening, close, count } = await openPair()
    for (let round = 0; round < 3; round += 1) {
      // Waited for by the second, ended by the first.
      const { operation } = await two.create(newOperation())
      expect(await cut()).toBe(1)
      await one.complete(operation.id, resultOf('in the gap'))
      await expect.poll(() => heard, { timeout: 10_000 }).toContain(operation.id)
      await expect.poll(count, { timeout: 10_000 }).toBe(round + 2)
      // What came in the gap may have been asked for: the connection is there a moment later.
      await expect.poll(isListening, { timeout: 10_000 }).toBe(true)
      const later = await one.create(newOperation())
      await one.complete(later.operation.id, resultOf('after it'))
      await expect.poll(() => heard, { timeout: 10_000 }).toContain(later.operation.id)
    }
    await close()
  })

  it('a store that is closed lets its connection go, and makes no other', async () => {
    const { cut, close, count } = await openPair()
    await close()
    await expect.poll(cut, { timeout: 5_000 }).toBe(0)
    expect(count()).toBe(1)
  })

  it('a connection that cannot be made disturbs nothing, and is tried again', async () => {
    const prefix = await database.prefix()
    let attempts = 0
    const listen = () => {
      attempts += 1
      const connectionString = attempts < 3 ? 'postgres://postgres@127.0.0.1:1/test' : DATABASE_URL
      return new pg.Client({ connectionString })
    }
    const [one, two] = [await database.store({ prefix }), await database.store({ prefix, listen, pollMs: 10 })]
    await Promise.all([one.start(), two.start()])
    const heard: string[] = []
    await two.watch?.((id) => heard.push(id))
    const { operation } = await two.create(newOperation())
    await one.complete(operation.id, resultOf('r'))
    await expect.poll(() => heard, { timeout: 10_000 }).toContain(operation.id)
    // By asking, maybe before there was a connection.
    await expect.poll(() => attempts, { timeout: 10_000 }).toBe(3)
    await Promise.all([one.close(), two.close()])
  })

  it('what strangers send on the channel is passed over', async () => {
    const { one, heard, close } = await openPair()
    const channel = await channelOf()
    for (const payload of ['', 'x', 'x {', 'x 5', 'x null'])
      await database.pool.query('select pg_notify($1, $2)', [channel, payload])
    const { operation } = await one.create(newOperation())
    await one.complete(operation.id, resultOf('r'))
    await expect.poll(() => heard, { timeout: 10_000 }).toContain(operation.id)
    await close()

    async function channelOf(): Promise<string> {
      const text =
        "select substring(prosrc from 'pg_notify\\(''([a-z0-9_]+)''') as name from pg_proc p join pg_namespace n on n.oid = pronamespace where nspname = $1 and proname like '%announce' order by p.oid desc limit 1"
      const { rows } = await database.pool.query<{ name: string }>(text, [database.schema])
      return rows[0]?.name ?? ''
    }
  })
})
