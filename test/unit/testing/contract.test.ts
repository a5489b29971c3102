import { describe, expect, it } from 'vitest'
import type { Store } from '../../../src/core/store.js'
import type { Transport } from '../../../src/core/transport.js'
import { memoryStore } from '../../../src/stores/memory/index.js'
import { type ContractCase, refuses, toCases, until } from '../../../src/testing/contract.js'
import { storeContract } from '../../../src/testing/store-contract.js'
import { transportContract } from '../../../src/testing/transport-contract.js'
import { memoryTransport } from '../../../src/transports/memory/index.js'

/** The same object with other methods, called on the real one. */
function replace<T extends object>(target: T, methods: Partial<T>): T {
  return new Proxy(target, {
    get(_, key) {
      const value: unknown = Reflect.get({ ...methods }, key) ?? Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

function find(cases: readonly ContractCase[], start: string): ContractCase {
  const found = cases.find(({ name }) => name.startsWith(start))
  if (found === undefined) throw new Error(`There is no case ${start}.`)
  return found
}

describe('the cases of a contract', () => {
  const kit = { close: async () => {} }

  it('have names of their own', () => {
    for (const cases of [transportContract(memoryTransport), storeContract(() => ({ store: memoryStore() }))]) {
      expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length)
      expect(cases.length).toBeGreaterThan(40)
    }
  })

  it('carry the reason why they are skipped', () => {
    const cases = toCases({ a: async () => {}, b: async () => {} }, async () => kit, { skip: { b: 'there is no b' } })
    expect(cases.map(({ name, skip }) => [name, skip])).toEqual([
      ['a', undefined],
      ['b', 'there is no b'],
    ])
    expect(() => toCases({ a: async () => {} }, async () => kit, { skip: { c: 'gone' } })).toThrow(
      /none of these names/,
    )
  })

  it('close what they have opened, also when they fail', async () => {
    let closed = 0
    const close = async (): Promise<void> => {
      closed += 1
    }
    const [failing] = toCases({ a: () => Promise.reject(new Error('it failed')) }, async () => ({ close }), {})
    await expect(failing?.run()).rejects.toThrow('it failed')
    expect(closed).toBe(1)
  })

  it('fail when what must come does not come, or a refusal is another one', async () => {
    await expect(until(() => false, 1)).rejects.toThrow(/did not come true within 1 ms/)
    await expect(refuses(Promise.resolve(1), 'ERR_CONFIG')).rejects.toThrow(/Missing expected rejection/)
    await expect(refuses(Promise.reject(new Error('plain')), 'ERR_CONFIG')).rejects.toThrow(/error with a code/)
    const other = Object.assign(new Error('other'), { code: 'ERR_OTHER' })
    await expect(refuses(Promise.reject(other), 'ERR_CONFIG')).rejects.toThrow(/ERR_OTHER/)
  })
})

describe('the store contract', () => {
  const broken: [string, (store: Store) => Partial<Store>][] = [
    [
      'FM-D5',
      (store) => ({
        complete: async (id, ending) => {
          const settled = await store.complete(id, ending)
          return settled && { ...settled, verdict: 'won' }
        },
      }),
    ],
    ['FM-D17', (store) => ({ create: async ({ idempotency: _, ...rest }) => store.create(rest) })],
    ['FM-D16', (store) => ({ markPublished: (ids) => store.markPublished(ids) })],
    ['FM-F14', (store) => ({ sweep: () => store.sweep(1000) })],
    [
      'FM-G2',
      (store) => ({
        complete: async (id, ending, records = []) => {
          for (const record of records) await store.records.put(record)
          return store.complete(id, ending)
        },
      }),
    ],
  ]

  it.each(broken)('%s finds a store that breaks it', async (name, fault) => {
    const create = (methods: (store: Store) => Partial<Store>) =>
      storeContract(() => {
        const store = memoryStore()
        return { store: replace(store, methods(store)) }
      })
    await find(
      create(() => ({})),
      name,
    ).run()
    await expect(find(create(fault), name).run()).rejects.toThrow()
  })
})

describe('the transport contract', () => {
  const broken: [string, (transport: Transport) => Partial<Transport>][] = [
    ['FM-B5', (transport) => ({ publish: (message, options) => transport.publish(message, options).catch(() => {}) })],
    [
      'FM-C17',
      (transport) => ({
        subscribe: (subscription, onMessage) =>
          transport.subscribe(subscription, async (message, delivery) => {
            await Promise.resolve(onMessage(message, delivery)).catch(() => {})
            return 'ack'
          }),
      }),
    ],
    [
      'FM-H10',
      (transport) => ({
        publish: (message, options) =>
          transport.publish({ ...message, headers: Object.assign({}, message.headers) }, options),
      }),
    ],
    [
      'publish calls no handler itself',
      (transport) => {
        const handlers = new Set<() => void>()
        return {
          subscribe: (subscription, onMessage) =>
            transport
              .subscribe(subscription, (message, delivery) => onMessage(message, delivery))
              .then((reader) => {
                handlers.add(() => onMessage({ ...BLANK, type: subscription.types[0] ?? '' }, { attempt: 1 }))
                return reader
              }),
          publish: (message, options) => {
            for (const call of handlers) call()
            return transport.publish(message, options)
          },
        }
      },
    ],
  ]

  it.each(broken)('%s finds a transport that breaks it', async (name, fault) => {
    const create = (methods: (transport: Transport) => Partial<Transport>, timeoutMs: number) =>
      transportContract(
        () => {
          const transport = memoryTransport()
          return replace<Transport>(transport, methods(transport))
        },
        { timeoutMs, quietMs: 1 },
      )
    const sound = create(() => ({}), 4000)
    await find(sound, name).run()
    await expect(find(create(fault, 40), name).run()).rejects.toThrow()
  })
})

const BLANK = {
  id: 'x',
  source: 'test',
  time: 0,
  headers: {},
  contentType: 'application/json',
  body: new Uint8Array(0),
}
