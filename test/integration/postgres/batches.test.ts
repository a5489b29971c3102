import type pg from 'pg'
import { describe, expect, it } from 'vitest'
import type { Store } from '../../../src/core/store.js'
import type { PostgresClient } from '../../../src/stores/postgres/index.js'
import { atOnce, newOperation, progressOf, resultOf } from '../../support/operations.js'
import { openDatabase, whyNoServer } from '../../support/postgres.js'

const reason = await whyNoServer()
const MIB = 1024 * 1024

/** Writes to all of these operations at once. */
type Write = (store: Store, ids: readonly string[]) => Promise<void>

/** Counts deadlocks, and may change statements before they are sent. */
function counting(pool: pg.Pool, change = (text: string) => text) {
  const counts = { deadlocks: 0, statements: 0 }
  const client: PostgresClient = {
    query: (text, values) => {
      counts.statements += 1
      return pool.query(change(text), values).catch((error: { code?: string }) => {
        if (error.code === '40P01') counts.deadlocks += 1
        throw error
      })
    },
  }
  return { client, counts }
}

describe.skipIf(reason)(`batches of the Postgres store${reason ? `, ${reason}` : ''}`, () => {
  const database = openDatabase({ max: 8 })

  /** Two stores write to the same operations at the same time, again and again. */
  async function collide(write: Write, change?: (text: string) => string): Promise<number> {
    const prefix = await database.prefix()
    const { client, counts } = counting(database.pool, change)
    const stores = [await database.store({ prefix, client }), await database.store({ prefix, client })]
    // A deadlock is found after a second, and a busy machine may find several, one behind the other.
    for (const store of stores) await store.start({ callTimeoutMs: 60_000 })
    for (let round = 0; round < 12 && counts.deadlocks === 0; round += 1) {
      const made = await atOnce(150, () => stores[0]?.create(newOperation()) ?? Promise.reject(new Error('no store')))
      const ids = made.map(({ operation }) => operation.id)
      const orders = [ids, [...ids].reverse()]
      const written = await Promise.allSettled(stores.map((store, index) => write(store, orders[index] ?? [])))
      // A call that has met several deadlocks is given up.
      if (counts.deadlocks === 0) expect(written.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled'])
    }
    for (const store of stores) await store.close()
    return counts.deadlocks
  }

  describe.each<[string, Write]>([
    [
      'ends and marks',
      async (store, ids) => {
        const ends = ids.map((id) => store.complete(id, resultOf(`of ${id}`)))
        await Promise.all([...ends, store.markPublished(ids)])
      },
    ],
    [
      'progress and marks',
      async (store, ids) => {
        const shown = ids.map((id) => store.progress(id, progressOf(id)))
        await Promise.all([...shown, store.markPublished(ids)])
      },
    ],
  ])('%s of the same operations', (_, write) => {
    it('do not deadlock', async () => {
      expect(await collide(write)).toBe(0)
    })

    it('do so without one order of their locks, which shows that the test can tell', async () => {
      let turn = 0
      const shuffle = (text: string) => {
        turn += 1
        return text.replace(/order by o\.id for update/g, `order by md5(o.id || '${turn}') for update`)
      }
      expect(await collide(write, shuffle)).toBeGreaterThan(0)
    })
  })

  it('a bad item fails alone, in creates, endings and records', async () => {
    const store = await database.store()
    await store.start()
    const bad = newOperation({ id: 'bad\u0000id' })
    const creates = await Promise.allSettled([
      ...Array.from({ length: 20 }, () => store.create(newOperation())),
      store.create(bad),
      ...Array.from({ length: 20 }, () => store.create(newOperation())),
    ])
    expect(creates.flatMap(({ status }, index) => (status === 'rejected' ? [index] : []))).toEqual([20])
    expect(creates[20]).toMatchObject({ reason: { code: 'ERR_INVALID_INPUT' } })
    const ids = creates.flatMap((one) => (one.status === 'fulfilled' ? [one.value.operation.id] : []))
    const endings = await Promise.allSettled(
      ids.map((id, index) => {
        const key = index === 7 ? 'no\u0000key' : `record of ${id}`
        return store.complete(id, resultOf(`r ${id}`), [{ key, value: Buffer.from('v') }])
      }),
    )
    expect(endings.flatMap(({ status }, index) => (status === 'rejected' ? [index] : []))).toEqual([7])
    expect((await store.get(ids[7] ?? ''))?.state).toBe('running')
    expect(await store.records.list('record of ')).toHaveLength(39)
    const puts = await Promise.allSettled(
      ['a', 'b\u0000', 'c'].map((key) => store.records.put({ key, value: Buffer.from(key) })),
    )
    expect(puts.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    await store.close()
  })

  /** A store that notes the sizes of the answers. */
  async function openMeasured() {
    const sizes: number[] = []
    const client: PostgresClient = {
      async query(text, values) {
        const answer = await database.pool.query(text, values)
        sizes.push(JSON.stringify(answer.rows).length)
        return answer
      },
    }
    const store = await database.store({ client })
    await store.start()
    return { store, sizes }
  }

  it('reads of large operations, and calls that find them, are answered in parts', async () => {
    const { store, sizes } = await openMeasured()
    const again = Array.from({ length: 14 }, (_, index) =>
      newOperation({ idempotency: { key: `large ${index}`, fingerprint: 'f' } }),
    )
    const inits = again.map(({ idempotency, request }) => {
      return { ...newOperation(), idempotency, request: { ...request, body: Buffer.alloc(MIB, 'x') } }
    })
    await Promise.all(inits.map((init) => store.create(init)))
    sizes.length = 0
    const ids = ['nobody', ...inits.map(({ id }) => id), 'nothing']
    const found = await Promise.all(ids.map((id) => store.get(id)))
    expect(found.map((one) => one?.id)).toEqual([undefined, ...inits.map(({ id }) => id), undefined])
    expect(found[3]?.request?.body.byteLength).toBe(MIB)
    expect(sizes.length).toBeGreaterThan(2)
    const joined = await Promise.all([...again, newOperation()].map((init) => store.create(init)))
    expect(joined.map(({ created }) => created)).toEqual([...again.map(() => false), true])
    expect(joined.slice(0, 14).map(({ operation }) => operation.id)).toEqual(inits.map(({ id }) => id))
    expect(Math.max(...sizes)).toBeLessThan(8 * MIB)
    await store.close()
  }, 30_000)

  it('a list of large records is read in parts', async () => {
    const { store, sizes } = await openMeasured()
    const keys = Array.from({ length: 14 }, (_, index) => `record ${String(index).padStart(2, '0')}`)
    await Promise.all(keys.map((key) => store.records.put({ key, value: Buffer.alloc(MIB, key) })))
    await store.records.put({ key: 'record 05', value: Buffer.alloc(6 * MIB) })
    sizes.length = 0
    const read = async (page?: { after?: string; limit?: number }) =>
      (await store.records.list('record', page)).map(({ key }) => key)
    expect(await read()).toEqual(keys)
    expect(await read({ limit: 14 })).toEqual(keys)
    expect(await read({ after: 'record 01', limit: 10 })).toEqual(keys.slice(2, 12))
    expect(sizes.length).toBeGreaterThan(6)
    // The last one of an answer may be as large as it is, here in base64.
    expect(Math.max(...sizes)).toBeLessThan(14 * MIB)
    await store.close()
  }, 30_000)

  it('what an event holds is never bad', async () => {
    const store = await database.store()
    await store.start()
    const strange = '\u0000 \ud800 \u{10FFFF} "\\u0000"'
    const key = strange
    const init = newOperation({ principal: strange, idempotency: { key, fingerprint: strange } })
    const operation = { ...init, request: { ...init.request, key, headers: { strange }, body: Buffer.from([0, 255]) } }
    await store.create(operation)
    const read = await store.get(init.id)
    expect(read).toMatchObject({ principal: strange, key, idempotency: { key, fingerprint: strange } })
    expect(read?.request?.headers['strange']).toBe(strange)
    expect([...(read?.request?.body ?? [])]).toEqual([0, 255])
    await store.complete(init.id, resultOf(strange, { headers: { strange } }))
    expect((await store.get(init.id))?.result).toMatchObject({ id: strange, headers: { strange } })
    await store.close()
  })

  it('many calls at once share their statements, and one alone takes one', async () => {
    const { client, counts } = counting(database.pool)
    const store = await database.store({ client })
    await store.start()
    counts.statements = 0
    const { operation } = await store.create(newOperation())
    await store.complete(operation.id, resultOf('r'))
    expect(counts.statements).toBe(2)
    const made = await atOnce(1000, () => store.create(newOperation()))
    const ids = made.map(({ operation: { id } }) => id)
    const shown = await Promise.all(ids.map((id) => store.progress(id, progressOf(id))))
    expect(shown.map((one) => [one?.id, one?.version])).toEqual(ids.map((id) => [id, 2]))
    await Promise.all(ids.map((id) => store.complete(id, resultOf(`of ${id}`))))
    expect(counts.statements).toBeLessThan(30)
    await store.close()
  })

  it('of progress for one operation that comes at once each counts, in some order', async () => {
    const store = await database.store()
    await store.start()
    const [first, second] = await atOnce(2, () => store.create(newOperation()))
    const ids = [first?.operation.id ?? '', second?.operation.id ?? '']
    const shown = await atOnce(20, (index) => store.progress(ids[index % 2] ?? '', progressOf(`p${index}`)))
    for (const id of ids) {
      const versions = shown.filter((one) => one?.id === id).map((one) => one?.version ?? 0)
      expect(versions.sort((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_, index) => index + 2))
      expect((await store.get(id))?.version).toBe(11)
    }
    await store.close()
  })

  it('an end leaves the new version of its row in its page, so that no index is written', async () => {
    const prefix = await database.prefix()
    const store = await database.store({ prefix })
    await store.start()
    const made = await atOnce(300, (index) =>
      store.create(newOperation({ idempotency: { key: `hot ${index}`, fingerprint: 'f' } })),
    )
    await Promise.all(made.map(({ operation: { id } }) => store.complete(id, resultOf(`of ${id}`))))
    await store.close()
    const text =
      'select n_tup_upd as all, n_tup_hot_upd as hot from pg_stat_user_tables where schemaname = $1 and relname = $2'
    const read = async () => {
      const { rows } = await database.pool.query<{ all: string; hot: string }>(text, [
        database.schema,
        `${prefix}operations`,
      ])
      return { all: Number(rows[0]?.all), hot: Number(rows[0]?.hot) }
    }
    await expect.poll(async () => (await read()).all, { timeout: 10_000, interval: 300 }).toBe(300)
    expect((await read()).hot).toBeGreaterThan(150)
  })
})
