import { afterEach, describe, expect, it } from 'vitest'
import type { IoredisClient } from '../../../src/stores/redis/index.js'
import { makeIoredis, missingRedis, RedisStores } from '../../support/redis/clients.js'
import { newOperation } from '../../support/redis/operations.js'

const missing = await missingRedis()
const MIB = 1024 * 1024

/** Notes the size of the largest reply. */
function measured() {
  const client = makeIoredis().client as IoredisClient
  const sizes: number[] = []
  const measure = (found: unknown) => {
    sizes.push(
      JSON.stringify(found, (_, value) => (value?.type === 'Buffer' ? 'x'.repeat(value.data.length) : value)).length,
    )
    return found
  }
  const proxy = new Proxy(client, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      if (name !== 'call' && name !== 'callBuffer') return value.bind(target)
      return (...args: unknown[]) => (value.apply(target, args) as Promise<unknown>).then(measure)
    },
  })
  return { client: proxy, largest: () => Math.max(...sizes) }
}

describe.skipIf(missing)(`batches of the Redis store${missing ? ` (skipped: ${missing})` : ''}`, () => {
  const stores = new RedisStores()
  afterEach(() => stores.close())

  it('reads of what is large are answered in parts', async () => {
    const { client, largest } = measured()
    const store = await stores.open({ client })
    const inits = Array.from({ length: 14 }, () => {
      const init = newOperation()
      return { ...init, request: { ...init.request, body: Buffer.alloc(MIB, 'x') } }
    })
    await Promise.all(inits.map((init) => store.create(init)))
    const keys = inits.map(({ id }) => `record of ${id}`)
    await Promise.all(keys.map((key) => store.records.put({ key, value: Buffer.alloc(MIB, key) })))
    const ids = ['nobody', ...inits.map(({ id }) => id), 'nothing']
    const found = await Promise.all(ids.map((id) => store.get(id)))
    expect(found.map((one) => one?.id)).toEqual([undefined, ...inits.map(({ id }) => id), undefined])
    const records = await Promise.all(['none', ...keys].map((key) => store.records.get(key)))
    expect(records.map((one) => one?.value.byteLength)).toEqual([undefined, ...keys.map(() => MIB)])
    expect(largest()).toBeGreaterThan(3 * MIB)
    expect(largest()).toBeLessThan(8 * MIB)
    await store.close()
  }, 30_000)
})
