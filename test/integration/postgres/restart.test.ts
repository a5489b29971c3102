import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Store } from '../../../src/core/store.js'
import { migrate, postgres } from '../../../src/stores/postgres/index.js'
import { newOperation, resultOf } from '../../support/operations.js'
import { type Cluster, createCluster, whyNoCluster } from '../../support/postgres-cluster.js'

const missing = whyNoCluster()

describe.skipIf(missing !== undefined)('the Postgres store while its server restarts', { timeout: 180_000 }, () => {
  let cluster: Cluster
  let pool: pg.Pool
  let store: Store

  beforeAll(async () => {
    cluster = await createCluster()
    await cluster.start()
    // No listener for its errors: the store sees to it that idle connections that break do not end the process.
    pool = new pg.Pool({ connectionString: cluster.url, max: 8, connectionTimeoutMillis: 2000 })
    await migrate(pool)
    store = postgres({ client: pool, listen: () => new pg.Client({ connectionString: cluster.url }), pollMs: 50 })
    await store.start()
  }, 180_000)

  afterAll(async () => {
    await store?.close()
    await pool?.end()
    await cluster?.remove()
  }, 60_000)

  /** Creates and ends operations until told to stop; what was acknowledged is remembered. */
  function load(users: number) {
    const ended = new Map<string, string>()
    const codes = new Set<string>()
    let isOver = false
    const user = async () => {
      while (!isOver) {
        const init = newOperation()
        try {
          await store.create(init)
          const settled = await store.complete(init.id, resultOf(`of ${init.id}`))
          if (settled?.operation.result !== undefined) ended.set(init.id, settled.operation.result.id)
        } catch (error) {
          codes.add((error as { code?: string }).code ?? String(error))
          await sleep(20)
        }
      }
    }
    const running = Promise.all(Array.from({ length: users }, user))
    const stop = async () => {
      isOver = true
      await running
    }
    return { ended, codes, stop }
  }

  it.each(['fast', 'immediate'] as const)(
    'FM-D9 a %s stop under load loses nothing that was acknowledged',
    async (mode) => {
      const { ended, codes, stop } = load(64)
      await expect.poll(() => ended.size, { timeout: 30_000 }).toBeGreaterThan(100)
      await cluster.stop(mode)
      await sleep(300)
      const before = ended.size
      // While it is down, calls fail, and nothing else does.
      await expect(store.check()).rejects.toThrow()
      await cluster.start()
      await expect.poll(() => ended.size, { timeout: 60_000 }).toBeGreaterThan(before + 100)
      await stop()
      await store.check()
      const wrong: string[] = []
      for (const [id, result] of ended) if ((await store.get(id))?.result?.id !== result) wrong.push(id)
      expect(wrong).toEqual([])
      expect(codes.size).toBeGreaterThan(0)
      expect([...codes]).not.toContain('ERR_CONFIG')
      expect([...codes]).not.toContain('ERR_INVALID_INPUT')
    },
  )

  it('a refused connection says that nothing was written, and listening goes on afterwards', async () => {
    const heard: string[] = []
    const other = postgres({ client: pool })
    await other.start()
    const end = await store.watch?.((id) => heard.push(id))
    await cluster.stop('fast')
    await expect(store.create(newOperation())).rejects.toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
      details: { outcome: 'not-accepted' },
    })
    await cluster.start()
    await expect
      .poll(
        async () => {
          const { operation } = await other.create(newOperation())
          await other.complete(operation.id, resultOf(`of ${operation.id}`))
          await sleep(100)
          return heard.includes(operation.id)
        },
        { timeout: 30_000 },
      )
      .toBe(true)
    await end?.()
    await other.close()
  })
})
