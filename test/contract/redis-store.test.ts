import { afterAll, describe, it } from 'vitest'
import { storeContract } from '../../src/testing/store-contract.js'
import { LIBRARIES, missingRedis, RedisStores } from '../support/redis/clients.js'

const missing = await missingRedis()

describe.skipIf(missing)(`the Redis store${missing ? ` (skipped: ${missing})` : ''}`, () => {
  for (const [library, make] of Object.entries(LIBRARIES)) {
    describe(`through ${library}`, () => {
      const made: RedisStores[] = []
      afterAll(() => Promise.all(made.map((stores) => stores.close())))
      const create = () => {
        const stores = new RedisStores(make)
        made.push(stores)
        return { store: stores.create() }
      }
      for (const { name, run } of storeContract(create)) it(name, run)
    })
  }
})
