import { describe, expect, it } from 'vitest'
import type { RecordSpace } from '../../../src/core/store.js'
import { memoryStore } from '../../../src/stores/memory/index.js'
import { brief, deferred, made, setup, withPublish } from './setup.js'

/** A store of records alone, some of whose methods are replaced. */
function storeWith(replace: (records: RecordSpace) => Partial<RecordSpace>) {
  const store = memoryStore()
  const { records } = store
  const same: RecordSpace = {
    get: (key) => records.get(key),
    put: (write) => records.put(write),
    delete: (key, ifVersion) => records.delete(key, ifVersion),
    list: (prefix, page) => records.list(prefix, page),
  }
  return { start: () => store.start(), close: () => store.close(), records: { ...same, ...replace(records) } }
}

describe('dedupe', () => {
  it('FM-B2 answers a request that is delivered again by the very same events, without the handler', async () => {
    const { worker, told, results, send } = await setup({ dedupe: { store: memoryStore() } })
    let runs = 0
    await worker
      .handle('Requested', () => {
        runs += 1
        return [
          { ...made, headers: { a: 'b' } },
          { type: 'NotMade', body: Buffer.from([0, 255]), contentType: 'x/y' },
        ]
      })
      .start()
    const { id } = await send({ key: 'k', tenant: 'acme' })
    await send({ id, key: 'k', tenant: 'acme' })
    expect(runs).toBe(1)
    expect(results).toHaveLength(4)
    expect(results.slice(2)).toEqual(results.slice(0, 2))
    expect(told.handled).toMatchObject([{ replayed: false }, { replayed: true }])
    await send()
    expect(runs).toBe(2)
  })

  it('keeps the results before it publishes them, under the group and the id of the request', async () => {
    const store = memoryStore()
    let lost = 1
    const { worker, results, send, clock, told } = await setup({ group: 'g', dedupe: { store } }, (transport) =>
      withPublish(transport, (message, options) => {
        lost -= 1
        return lost >= 0 ? Promise.reject(new Error('lost')) : transport.publish(message, options)
      }),
    )
    let runs = 0
    await worker
      .handle('Requested', () => {
        runs += 1
        return made
      })
      .start()
    const { id } = await send()
    expect(await store.records.get(`worker/g/${id}`)).toMatchObject({ version: 1 })
    expect([runs, results.length]).toEqual([1, 0])
    await clock.advance(10)
    expect([runs, results.length]).toEqual([1, 1])
    expect(told.handled).toMatchObject([{ replayed: false }])
  })

  it('keeps failures too: the first outcome stands', async () => {
    const { worker, broker, results, send } = await setup({
      dedupe: { store: memoryStore() },
      retries: { attempts: 1 },
    })
    await worker.handle('Requested', ({ attempt }) => (attempt === 1 ? Promise.reject(new Error('no')) : made)).start()
    const { id } = await send()
    await send({ id })
    expect(brief(results).map(([type]) => type)).toEqual(['Requested::Failed', 'Requested::Failed'])
    expect(results[0]?.id).toBe(results[1]?.id)
    expect(broker.parked).toHaveLength(2)
  })

  it('lets one of two deliveries at once decide for both', async () => {
    const { worker, told, results, send, clock } = await setup({ dedupe: { store: memoryStore() } })
    const gates = [deferred<void>(), deferred<void>()]
    let runs = 0
    await worker
      .handle('Requested', async () => {
        runs += 1
        const id = String(runs)
        await gates[runs - 1]?.promise
        return { type: 'Made', data: { id } }
      })
      .start()
    const { id } = await send()
    await send({ id })
    gates[1]?.resolve()
    await clock.flush()
    gates[0]?.resolve()
    await clock.flush()
    expect(runs).toBe(2)
    expect(brief(results)).toEqual([
      ['Made', { id: '2' }],
      ['Made', { id: '2' }],
    ])
    expect(results[0]?.id).toBe(results[1]?.id)
    expect(told.handled.map(({ replayed }) => replayed)).toEqual([false, true])
  })

  it('stands by its own results when the record of the winner is gone again', async () => {
    const store = storeWith(() => ({ get: async () => undefined, put: async () => undefined }))
    const { worker, results, send } = await setup({ dedupe: { store } })
    await worker.handle('Requested', () => made).start()
    await send()
    expect(brief(results)).toEqual([['Made', { id: '1' }]])
  })

  it('forgets after ttlMs', async () => {
    const { clock, make, send } = await setup()
    const { worker } = make({ dedupe: { store: memoryStore({ clock }), ttlMs: 1000 } })
    let runs = 0
    await worker
      .handle('Requested', () => {
        runs += 1
        return made
      })
      .start()
    const { id } = await send()
    await clock.advance(999)
    await send({ id })
    expect(runs).toBe(1)
    await clock.advance(2)
    await send({ id })
    expect(runs).toBe(2)
  })

  it('takes what a call has kept that seemed to fail for its own', async () => {
    let lost = 1
    const store = storeWith((records) => ({
      put: async (write) => {
        const version = await records.put(write)
        lost -= 1
        return lost >= 0 ? Promise.reject(new Error('The answer is lost.')) : version
      },
    }))
    const { worker, told, results, send, clock } = await setup({ dedupe: { store } })
    await worker.handle('Requested', () => made).start()
    await send()
    await clock.advance(10)
    expect(brief(results)).toEqual([['Made', { id: '1' }]])
    expect(told.handled).toMatchObject([{ replayed: false }])
  })
})
