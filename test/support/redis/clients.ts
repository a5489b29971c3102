import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { type RedisStoreOptions, redis } from '../../../src/stores/redis/index.js'
import { sharedServer } from '../servers/server-for.js'

const server = await sharedServer('redis')

/** Where the tests find a Redis that others may use too. */
export const REDIS_URL = server.address

/** Why there is no Redis to test on; undefined when there is one. */
export async function missingRedis(): Promise<string | undefined> {
  return server.missing
}

/** Makes clients of one library, each with the means to end it. */
export type MakeClient = (url?: string) => { readonly client: RedisStoreOptions['client']; end(): void }

export const makeIoredis: MakeClient = (url = REDIS_URL) => {
  const client = new Redis(url, { lazyConnect: true })
  return { client, end: () => client.disconnect() }
}

const makeNodeRedis: MakeClient = (url = REDIS_URL) => {
  const client = createClient({ url })
  return { client, end: () => client.isOpen && client.destroy() }
}

export const LIBRARIES: Readonly<Record<string, MakeClient>> = { ioredis: makeIoredis, 'node-redis': makeNodeRedis }

/** A prefix that nobody else has. */
export function freshPrefix(): string {
  return `test-${randomUUID()}:`
}

/** Makes stores, and in the end removes what they have left. */
export class RedisStores {
  readonly prefix = freshPrefix()
  readonly #make: MakeClient
  readonly #url: string
  readonly #ends: (() => void)[] = []

  constructor(make: MakeClient = makeIoredis, url = REDIS_URL) {
    this.#make = make
    this.#url = url
  }

  /** A store that is not started; all of them share their operations, unless they are given a prefix. */
  create(options: Partial<RedisStoreOptions> = {}): ReturnType<typeof redis> {
    const { client, end } = this.#make(this.#url)
    this.#ends.push(end)
    return redis({ client, prefix: this.prefix, ...options })
  }

  /** A store that is started. */
  async open(options: Partial<RedisStoreOptions> = {}): Promise<ReturnType<typeof redis>> {
    const store = this.create(options)
    await store.start()
    return store
  }

  async close(): Promise<void> {
    for (const end of this.#ends.splice(0)) end()
    // A server of one's own goes with all that it has.
    if (this.#url === REDIS_URL) await removeKeys(this.prefix)
  }
}

/** Removes all keys with a prefix, and no others. */
export async function removeKeys(prefix: string): Promise<void> {
  const client = new Redis(REDIS_URL)
  try {
    for await (const keys of client.scanStream({ match: `${prefix}*`, count: 1000 }) as AsyncIterable<string[]>)
      if (keys.length > 0) await client.unlink(...keys)
  } finally {
    client.disconnect()
  }
}
