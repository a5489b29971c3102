import { Redis } from 'ioredis'
import { createClient, RESP_TYPES } from 'redis'
import { describe, expect, it } from 'vitest'
import { type RedisStoreOptions, redis } from '../../../src/stores/redis/index.js'
import { freshPrefix, missingRedis, REDIS_URL } from '../../support/redis/clients.js'

const missing = await missingRedis()

const CLIENTS: Readonly<Record<string, () => RedisStoreOptions['client']>> = {
  'ioredis with stringNumbers': () => new Redis(REDIS_URL, { lazyConnect: true, stringNumbers: true }),
  'node-redis with a mapping of numbers': () => {
    const commandOptions = { typeMapping: { [RESP_TYPES.NUMBER]: String } }
    return createClient({ url: REDIS_URL, commandOptions }) as unknown as RedisStoreOptions['client']
  },
}

describe.skipIf(missing)(`a client that gives numbers as texts${missing ? ` (skipped: ${missing})` : ''}`, () => {
  for (const [title, make] of Object.entries(CLIENTS)) {
    it(`is refused before anything is written, through ${title}`, async () => {
      const store = redis({ client: make(), prefix: freshPrefix() })
      const message = expect.stringMatching(/stringNumbers.*typeMapping.*\(option client\)\.$/)
      await expect(store.start()).rejects.toMatchObject({ code: 'ERR_CONFIG', message })
    })
  }
})
