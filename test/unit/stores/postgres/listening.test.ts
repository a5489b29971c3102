import { EventEmitter } from 'node:events'
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type ListenConnection, Listening, type ListeningOptions } from '../../../../src/stores/postgres/listening.js'
import { postgres } from '../../../../src/stores/postgres/store.js'

/** What a server says that fits. */
const SERVER = {
  ...{ fsync: 'on', synchronous_commit: 'on', writer_delay_ms: 200, server_version: 160_000, standby: false },
  ...{ is_there: true, version: 1, compatible: 1 },
}

/** A connection that can be lost. */
function connection(connected: () => Promise<unknown>) {
  const listeners = new Map<string, (value?: unknown) => void>()
  const made: ListenConnection = {
    connect: connected,
    query: async () => {},
    on: (event: string, listener: (value?: unknown) => void) => listeners.set(event, listener),
    end: async () => {},
  }
  return { made, lose: (error: Error) => listeners.get('error')?.(error) }
}

/** A listening whose gaps are counted. */
function setup(options: Partial<ListeningOptions>) {
  let gaps = 0
  const listening = new Listening({
    channel: 'c',
    client: { query: async () => ({ rows: [] }) },
    onPayload: () => {},
    onGap: async () => {
      gaps += 1
    },
    pollMs: 2,
    connectTimeoutMs: 10_000,
    ...options,
  })
  return { listening, gaps: () => gaps }
}

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

describe('listening to Postgres', () => {
  const warn = vi.spyOn(process, 'emitWarning')
  beforeEach(() => void warn.mockReset().mockImplementation(() => {}))
  afterAll(() => warn.mockRestore())

  it('while no connection can be made, changes are asked for every pollMs, and it is told once', async () => {
    const refused = new Error('connect ECONNREFUSED')
    let attempts = 0
    const connect = () => {
      attempts += 1
      return connection(() => Promise.reject(refused)).made
    }
    const { listening, gaps } = setup({ connect })
    await listening.start()
    await expect.poll(() => attempts > 2 && gaps() > 10, { interval: 2 }).toBe(true)
    expect(warn).toHaveBeenCalledOnce()
    const options = { type: 'RespondAsyncWarning', detail: refused.message }
    expect(warn).toHaveBeenCalledWith(expect.stringMatching(/`listen`.* 2 ms/), options)
    await listening.close()
    const after = gaps()
    await wait(20)
    expect(gaps()).toBe(after)
  })

  it('a connection that is lost is stood in for until there is another one', async () => {
    let connected = () => {}
    const second = new Promise<void>((resolve) => {
      connected = resolve
    })
    const connections = [connection(async () => {}), connection(() => second)]
    const made: ListenConnection[] = []
    const connect = () => {
      const next = connections[made.length]
      if (next === undefined) throw new Error('there are two only')
      made.push(next.made)
      return next.made
    }
    const { listening, gaps } = setup({ connect })
    await listening.start()
    expect(gaps()).toBe(1)
    await wait(20)
    expect(gaps()).toBe(1)
    connections[0]?.lose(new Error('terminated'))
    await expect.poll(() => made.length === 2 && gaps() > 4, { interval: 2 }).toBe(true)
    connected()
    await wait(20)
    const after = gaps()
    await wait(20)
    expect(gaps()).toBe(after)
    expect(warn).toHaveBeenCalledOnce()
    await listening.close()
  })

  it('a connection that says nothing is given up, and changes are asked for', async () => {
    const silent = connection(() => new Promise(() => {}))
    const { listening, gaps } = setup({ connect: () => silent.made, connectTimeoutMs: 20 })
    await listening.start()
    const detail = 'listen: the connection does not listen within 20 ms.'
    expect(warn).toHaveBeenCalledWith(expect.anything(), { type: 'RespondAsyncWarning', detail })
    await expect.poll(gaps, { interval: 2 }).toBeGreaterThan(3)
    await listening.close()
  })

  it('a function that makes no connection later is told of, and called again', async () => {
    const first = connection(async () => {})
    const answers = [() => first.made, () => undefined, () => connection(async () => {}).made]
    const connect = () => {
      const next = answers.shift()
      if (next === undefined) throw new Error('too often')
      return next() as ListenConnection
    }
    const { listening } = setup({ connect })
    await listening.start()
    first.lose(new Error('terminated'))
    await expect.poll(() => answers.length, { interval: 2 }).toBe(0)
    expect(warn).toHaveBeenCalledWith(expect.stringContaining('listen must return'), { type: 'RespondAsyncWarning' })
    await listening.close()
  })
})

describe('a `listen` that makes no connection', () => {
  it.each([
    [
      'throws',
      () => {
        throw new Error('boom')
      },
      /^postgres: listen throws: boom$/,
    ],
    ['returns nothing', () => undefined, /^postgres: listen must return a connection/],
    ['returns a promise', async () => connection(async () => {}).made, /^postgres: listen must return a connection/],
  ])('one that %s is one clear error, after which watching can be tried again', async (_, bad, message) => {
    const client = Object.assign(new EventEmitter(), { query: async () => ({ rows: [SERVER] }) })
    let listen: () => unknown = bad
    const store = postgres({ client, listen: () => listen() as ListenConnection })
    await store.start()
    for (let attempt = 0; attempt < 2; attempt += 1)
      await expect(store.watch?.(() => {})).rejects.toMatchObject({ code: 'ERR_CONFIG', message })
    listen = () => connection(async () => {}).made
    await store.watch?.(() => {})
    await store.close()
    expect(client.listenerCount('error')).toBe(0)
  })

  it('closes in order where nobody could listen', async () => {
    const client = Object.assign(new EventEmitter(), { query: async () => ({ rows: [SERVER] }) })
    const listen = () => {
      throw new Error('boom')
    }
    const store = postgres({ client, listen })
    await store.start()
    const watching = expect(store.watch?.(() => {})).rejects.toMatchObject({ code: 'ERR_CONFIG' })
    await store.close()
    await watching
    expect(client.listenerCount('error')).toBe(0)
  })
})

describe('the start of a Postgres store', () => {
  it('a database that says nothing ends it in time, and it can be tried again', async () => {
    const store = postgres({ client: { query: () => new Promise(() => {}) }, connectTimeoutMs: 20 })
    const message = /cannot be used: the server has not answered within 20 ms \(a pool .*\) \(option client\)\.$/
    const refusal = { code: 'ERR_STORE_UNAVAILABLE', message: expect.stringMatching(message) }
    for (let attempt = 0; attempt < 2; attempt += 1) await expect(store.start()).rejects.toMatchObject(refusal)
  })

  it('one that fails after the store was closed does not count as a user any more', async () => {
    let query = () => new Promise<{ rows: object[] }>(() => {})
    const store = postgres({ client: { query: () => query() }, connectTimeoutMs: 20 })
    const starting = expect(store.start()).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    await store.close().catch(() => {})
    await starting
    query = async () => ({ rows: [SERVER] })
    await store.start()
    await store.close()
    await expect(store.get('id')).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
  })
})
