import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { RedisStore } from '../../../src/stores/redis/index.js'
import { until } from '../../../src/testing/contract.js'
import { LIBRARIES, RedisStores } from '../../support/redis/clients.js'
import { newOperation, resultOf } from '../../support/redis/operations.js'
import { missingServer, startRedis, tell } from '../../support/redis/own-server.js'
import type { Server } from '../../support/servers/server.js'

const missing = missingServer()

/** What a client of the store was told. */
interface History {
  readonly created: string[]
  readonly completed: Map<string, string>
  readonly failures: unknown[]
  lastSuccess: number
}

/** Creates and ends operations one after the other until it is told to stop. */
async function work(store: RedisStore, history: History, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const init = newOperation({ idempotency: { key: `key ${Math.random()}`, fingerprint: 'f' } })
    try {
      await store.create(init)
      history.created.push(init.id)
      const settled = await store.complete(init.id, resultOf(`result of ${init.id}`))
      history.completed.set(init.id, settled?.operation.state ?? 'unknown')
      history.lastSuccess = performance.now()
    } catch (error) {
      history.failures.push(error)
      await sleep(20)
    }
  }
}

async function check(store: RedisStore, { created, completed }: History): Promise<void> {
  const found = await Promise.all(created.map((id) => store.get(id)))
  const lost = created.filter((_, index) => found[index] === undefined)
  expect(lost, 'acknowledged operations that are lost').toEqual([])
  for (const operation of found) {
    if (operation === undefined || !completed.has(operation.id)) continue
    expect([operation.state, operation.result?.id]).toEqual(['succeeded', `result of ${operation.id}`])
  }
}

describe.skipIf(missing)(`a Redis that fails${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let server: Server
  const opened: RedisStores[] = []
  beforeAll(async () => {
    server = await startRedis()
  })
  afterEach(() => Promise.all(opened.splice(0).map((stores) => stores.close())))
  afterAll(() => server.close())

  function open(library: string): Promise<RedisStore> {
    const stores = new RedisStores(LIBRARIES[library], server.address)
    opened.push(stores)
    return stores.open()
  }

  for (const library of Object.keys(LIBRARIES)) {
    it(`${library}: scripts that are flushed again and again under load cost nothing`, async () => {
      const store = await open(library)
      const history: History = { created: [], completed: new Map(), failures: [], lastSuccess: 0 }
      const workers = Array.from({ length: 64 }, () => work(store, history, () => history.created.length >= 2000))
      let flushes = 0
      const flush = async (): Promise<void> => {
        for (; history.created.length < 2000; flushes += 1) await tell(server.address, 'SCRIPT', 'FLUSH')
      }
      await Promise.all([...workers, flush()])
      expect(history.failures).toEqual([])
      expect(flushes).toBeGreaterThan(3)
      await check(store, history)
    })

    it(`${library}: FM-D9 killed and restarted under load, it loses nothing acknowledged`, {
      timeout: 120_000,
    }, async () => {
      const store = await open(library)
      expect(store.durability).toEqual({ class: 'durable' })
      const history: History = { created: [], completed: new Map(), failures: [], lastSuccess: 0 }
      let isOver = false
      const workers = Array.from({ length: 32 }, () => work(store, history, () => isOver))
      for (let round = 0; round < 3; round += 1) {
        const before = history.completed.size
        await until(() => history.completed.size > before + 200, 20_000)
        await server.kill()
        // What was under way when the connection broke may wait for the next one.
        const isRefused = () =>
          Promise.race([
            store.get('unknown').then(
              () => false,
              () => true,
            ),
            sleep(100, false),
          ])
        await until(isRefused)
        const refused = performance.now()
        await expect(store.create(newOperation())).rejects.toMatchObject({
          code: 'ERR_STORE_UNAVAILABLE',
          details: { outcome: 'not-accepted' },
        })
        expect(performance.now() - refused).toBeLessThan(250)
        await expect(store.check()).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
        await server.start()
        const back = performance.now()
        await until(() => history.lastSuccess > back, 15_000)
        expect(history.lastSuccess - back).toBeLessThan(10_000)
      }
      isOver = true
      await Promise.all(workers)
      await store.check()
      await check(store, history)
    })

    it(`${library}: a frozen server keeps its callers waiting, and answers them when it goes on`, async () => {
      const store = await open(library)
      const init = newOperation()
      await store.create(init)
      server.pause()
      const calls = [store.complete(init.id, resultOf('result')), store.get(init.id), store.check()]
      const settled = await Promise.race([Promise.allSettled(calls), sleep(300, 'waiting')])
      server.resume()
      expect(settled).toBe('waiting')
      await Promise.all(calls)
      expect((await store.get(init.id))?.state).toBe('succeeded')
    })

    it(`${library}: a second connection that breaks is made again, and changes are heard`, async () => {
      const stores = new RedisStores(LIBRARIES[library], server.address)
      opened.push(stores)
      const [watching, changing] = [await stores.open(), await stores.open()]
      const heard: string[] = []
      await watching.watch((id) => heard.push(id))
      await tell(server.address, 'CLIENT', 'KILL', 'TYPE', 'pubsub')
      await until(async () => {
        const init = newOperation()
        await changing.create(init)
        await changing.complete(init.id, resultOf('result'))
        await sleep(20)
        return heard.length > 0
      }, 10_000)
    })
  }

  it('FM-D1 a full server takes no new operations, but ends those that run', async () => {
    const store = await open('ioredis')
    const inits = Array.from({ length: 20 }, () => newOperation())
    await Promise.all(inits.map((init) => store.create(init)))
    await tell(server.address, 'CONFIG', 'SET', 'maxmemory', '1mb')
    try {
      const refusal = { code: 'ERR_STORE_FULL', details: { outcome: 'not-accepted' } }
      await expect(store.create(newOperation())).rejects.toMatchObject(refusal)
      const settled = await Promise.all(inits.map(({ id }) => store.complete(id, resultOf(`r ${id}`))))
      expect(settled.map((one) => one?.verdict)).toEqual(inits.map(() => 'won'))
      await store.check()
    } finally {
      await tell(server.address, 'CONFIG', 'SET', 'maxmemory', '0')
    }
    for (const { id } of inits) expect((await store.get(id))?.result?.id).toBe(`r ${id}`)
  })
})
