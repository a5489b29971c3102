import { setTimeout as sleep } from 'node:timers/promises'
import { memoryTransport, type Store } from 'respond-async'
import { createReadModel, defineProjection } from 'respond-async/read-model'
import { afterEach, describe, expect, it } from 'vitest'
import { until } from '../../../src/testing/contract.js'
import { LIBRARIES, missingRedis, RedisStores } from '../../support/redis/clients.js'
import { newOperation as operation, resultOf as result } from '../../support/redis/operations.js'

const missing = await missingRedis()
const LEASE = { olderThanMs: 0, leaseMs: 60_000, limit: 10 }

describe.skipIf(missing)(`two Redis stores on one server${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let stores: RedisStores
  afterEach(() => stores.close())

  /** One store through each library, so that they also have to agree. */
  async function openTwo() {
    stores = new RedisStores(LIBRARIES['ioredis'])
    const others = new RedisStores(LIBRARIES['node-redis'])
    const two = [await stores.open(), await others.open({ prefix: stores.prefix })] as const
    const close = stores.close.bind(stores)
    stores.close = async () => {
      await others.close()
      await close()
    }
    return two
  }

  it('a read model is refused whose name has another service, with other events', async () => {
    const [store, other] = await openTwo()
    const start = async (kept: Store, ...types: string[]) => {
      const on = Object.fromEntries(types.map((type) => [type, () => undefined]))
      const projection = defineProjection({ name: 'users', version: 1, on })
      const model = createReadModel({ transport: memoryTransport(), store: kept, projection })
      await model.start().finally(() => model.close())
    }
    await start(store, 'A::Made', 'A::Gone')
    await start(other, 'A::Gone', 'A::Made')
    await expect(start(other, 'B::Made')).rejects.toMatchObject({ code: 'ERR_CONFIG' })
  })

  it('FM-D5 FM-D11 of fifty endings at once, one wins, and both tell the same', async () => {
    const two = await openTwo()
    const init = operation()
    await two[0].create(init)
    const calls = Array.from({ length: 50 }, (_, index) =>
      two[index % 2 ? 1 : 0].complete(init.id, result(`e${index}`)),
    )
    const settled = await Promise.all(calls)
    const winner = settled.findIndex((one) => one?.verdict === 'won')
    expect(settled.filter((one) => one?.verdict === 'won')).toHaveLength(1)
    for (const one of settled) expect(one?.operation.result?.id).toBe(`e${winner}`)
    for (const store of two) expect((await store.get(init.id))?.result?.id).toBe(`e${winner}`)
  })

  it('FM-D17 of fifty creates with one key at once, one makes an operation', async () => {
    const two = await openTwo()
    const idempotency = { key: 'one key', fingerprint: 'f' }
    const calls = Array.from({ length: 50 }, (_, index) => two[index % 2 ? 1 : 0].create(operation({ idempotency })))
    const all = await Promise.all(calls)
    expect(all.filter(({ created }) => created)).toHaveLength(1)
    expect(new Set(all.map(({ operation: { id } }) => id)).size).toBe(1)
  })

  it('FM-B15 two relays lend out each operation once, and keep the order of each key', async () => {
    const two = await openTwo()
    const ids: string[] = []
    for (let index = 0; index < 60; index += 1) {
      const init = operation()
      const key = index % 3 === 0 ? undefined : `key ${index % 5}`
      await two[index % 2 ? 1 : 0].create({ ...init, request: { ...init.request, key } })
      ids.push(init.id)
    }
    const lent: string[] = []
    const published: string[] = []
    const relay = async (store: (typeof two)[number]): Promise<void> => {
      while (published.length < ids.length) {
        const { token, operations } = await store.leaseUnpublished(LEASE)
        lent.push(...operations.map(({ id }) => id))
        for (const { id } of operations) {
          published.push(id)
          await store.markPublished([id], token)
        }
        await sleep(1)
      }
    }
    await Promise.all([...two, ...two].map(relay))
    expect(lent.sort()).toEqual([...ids].sort())
    for (const remainder of [1, 2, 3, 4]) {
      const ofKey = (list: readonly string[]) =>
        list.filter((id) => ids.indexOf(id) % 3 !== 0 && ids.indexOf(id) % 5 === remainder)
      expect(ofKey(published)).toEqual(ofKey(ids))
    }
    for (const store of two) expect((await store.leaseUnpublished(LEASE)).operations).toEqual([])
  })

  it('FM-D16 a relay whose lease was taken over cannot mark', async () => {
    const [paused, other] = await openTwo()
    const init = operation()
    await paused.create(init)
    const { token } = await paused.leaseUnpublished({ ...LEASE, leaseMs: 20 })
    await sleep(40)
    const taken = await other.leaseUnpublished(LEASE)
    expect(taken.operations.map(({ id }) => id)).toEqual([init.id])
    await paused.markPublished([init.id], token)
    expect((await other.get(init.id))?.published).toBe(false)
    await other.markPublished([init.id], taken.token)
    expect((await paused.get(init.id))?.published).toBe(true)
  })

  it('FM-D8 two sweepers report each expired operation once, also one that was seen to expire before', async () => {
    const two = await openTwo()
    const inits = Array.from({ length: 450 }, () => operation({ ttlMs: 30 }))
    await Promise.all(inits.map((init) => two[0].create(init)))
    await sleep(50)
    expect((await two[1].complete(inits[0]?.id ?? '', result('late')))?.verdict).toBe('late')
    const swept = (await Promise.all([...two, ...two].map((store) => store.sweep(500)))).flat()
    expect(swept.map(({ id }) => id).sort()).toEqual(inits.map(({ id }) => id).sort())
    for (const store of two) expect(await store.sweep(500)).toEqual([])
    expect((await two[0].get(inits[0]?.id ?? ''))?.lateResult?.id).toBe('late')
  })

  it('each hears what the other changes, with one message for many', async () => {
    const two = await openTwo()
    const heard: string[][] = [[], []]
    for (const [index, store] of two.entries()) await store.watch((id) => heard[index]?.push(id))
    const inits = Array.from({ length: 100 }, () => operation())
    await Promise.all(inits.map((init) => two[0].create(init)))
    await Promise.all(inits.map(({ id }, index) => two[index % 2 ? 1 : 0].complete(id, result(`e${index}`))))
    const wanted = inits.map(({ id }) => id).sort()
    await until(() => heard.every((ids) => ids.length >= 100))
    await sleep(30)
    for (const ids of heard) expect([...ids].sort()).toEqual(wanted)
  })

  it('a client without a second connection hears by polling', async () => {
    stores = new RedisStores(LIBRARIES['ioredis'])
    const changing = await stores.open()
    const { client } = LIBRARIES['ioredis']?.() ?? {}
    if (client === undefined) throw new Error('There is no client.')
    const polling = await stores.open({ client: withoutDuplicate(client), pollEveryMs: 10 })
    const heard: string[] = []
    const stop = await polling.watch((id) => heard.push(id))
    const init = operation()
    await changing.create(init)
    await changing.complete(init.id, result('e'))
    await until(() => heard.length > 0)
    expect(heard).toEqual([init.id])
    await stop()
    await polling.close()
  })
})

function withoutDuplicate<Client extends object>(client: Client): Client {
  return new Proxy(client, {
    get(target, name) {
      const value: unknown = name === 'duplicate' ? undefined : Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
