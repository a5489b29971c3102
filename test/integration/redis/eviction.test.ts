import { afterEach, describe, expect, it, vi } from 'vitest'
import { LIBRARIES, RedisStores } from '../../support/redis/clients.js'
import { missingServer, startRedis, tell } from '../../support/redis/own-server.js'

const missing = missingServer()

describe.skipIf(missing)(`a Redis that begins to evict${missing ? ` (skipped: ${missing})` : ''}`, () => {
  afterEach(() => vi.restoreAllMocks())

  for (const [library, make] of Object.entries(LIBRARIES)) {
    it(`is noticed within a minute, and until it has stopped, through ${library}`, async () => {
      const server = await startRedis()
      const stores = new RedisStores(make, server.address)
      const set = (policy: string) => tell(server.address, 'CONFIG', 'SET', 'maxmemory-policy', policy)
      try {
        const store = await stores.open()
        await set('allkeys-lru')
        await store.check()
        const now = performance.now() + 60_001
        vi.spyOn(performance, 'now').mockImplementation(() => now)
        const message = expect.stringMatching('allkeys-lru.*maxmemory-policy noeviction')
        for (let attempt = 0; attempt < 2; attempt += 1)
          await expect(store.check()).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', message })
        await set('noeviction')
        await store.check()
      } finally {
        await stores.close()
        await server.close()
      }
    })
  }
})
