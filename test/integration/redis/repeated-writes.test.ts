import { afterEach, describe, expect, it } from 'vitest'
import type { IoredisClient } from '../../../src/stores/redis/index.js'
import { makeIoredis, missingRedis, RedisStores } from '../../support/redis/clients.js'

const missing = await missingRedis()

/** A client that sends every script twice, as one does whose connection breaks before the answer. */
function twice(client: IoredisClient): IoredisClient {
  return new Proxy(client, {
    get(target, name) {
      if (name === 'call')
        return async (command: string, args: (string | Buffer)[]) => {
          if (command === 'EVALSHA') await target.call(command, [...args])
          return target.call(command, args)
        }
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

describe.skipIf(missing)(`writes that are sent twice${missing ? ` (skipped: ${missing})` : ''}`, () => {
  const stores = new RedisStores(makeIoredis)
  afterEach(() => stores.close())

  it('a conditional write gets its own version, and a second one is still refused', async () => {
    const store = await stores.open({ client: twice(makeIoredis().client as IoredisClient) })
    const write = { key: 'name', value: Buffer.from('ann'), ifVersion: 0 }
    const version = await store.records.put(write)
    expect(version).toBeGreaterThan(0)
    expect((await store.records.get('name'))?.version).toBe(version)
    expect(await store.records.put(write)).toBeUndefined()
    await store.close()
  })
})
