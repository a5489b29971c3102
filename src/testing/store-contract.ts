import assert from 'node:assert/strict'
import { createId } from '../core/ids.js'
import type { NewOperation, Operation } from '../core/operation.js'
import { type ContractCase, type ContractOptions, refuses, toCases } from './contract.js'
import { atOnce, type StoreCases, StoreKit, type StoreSetup, TTL_MS } from './store-kit.js'
import { OPERATIONS } from './store-operations.js'
import { RECORDS } from './store-records.js'

/**
 * What every store must do. `create` makes an empty store that is not started.
 * @example for (const { name, run } of storeContract(() => ({ store: myStore() }))) it(name, run)
 */
export function storeContract(
  create: () => Promise<StoreSetup> | StoreSetup,
  options: ContractOptions = {},
): ContractCase[] {
  const open = async (): Promise<StoreKit> => {
    const setup = await create()
    await setup.store.start()
    return new StoreKit(setup, create, options)
  }
  return toCases({ ...LIFE, ...OPERATIONS, ...OUTBOX, ...TIME, ...RECORDS, ...WATCHING }, open, options)
}

const LIFE: StoreCases = {
  'nothing works before the start': async (kit) => {
    const { store } = await kit.create()
    await refuses(store.create(kit.operation()), 'ERR_STORE_UNAVAILABLE')
    await refuses(store.get('id'), 'ERR_STORE_UNAVAILABLE')
    await refuses(store.records.get('key'), 'ERR_STORE_UNAVAILABLE')
    await store.close()
  },
  'nothing works after the last close': async (kit) => {
    const { id } = await kit.created()
    await kit.store.close()
    await refuses(kit.store.create(kit.operation()), 'ERR_STORE_UNAVAILABLE')
    await refuses(kit.store.complete(id, kit.result()), 'ERR_STORE_UNAVAILABLE')
    await refuses(kit.store.get(id), 'ERR_STORE_UNAVAILABLE')
    await refuses(kit.store.sweep(1), 'ERR_STORE_UNAVAILABLE')
    await refuses(kit.store.records.put({ key: 'key', value: Buffer.from('x') }), 'ERR_STORE_UNAVAILABLE')
    await kit.store.close()
  },
  'a store that two users started works until both have closed it': async (kit) => {
    const { id } = await kit.created()
    await kit.store.start()
    await kit.store.close()
    assert.equal((await kit.get(id)).id, id)
    await kit.store.close()
    await refuses(kit.store.get(id), 'ERR_STORE_UNAVAILABLE')
  },
  'a check passes while the store can be reached, and fails after the last close': async (kit) => {
    await kit.store.check()
    await kit.store.close()
    await assert.rejects(kit.store.check())
  },
}

const LEASE = { olderThanMs: 0, leaseMs: 600_000, limit: 100 }
/** More than a store need look at in one lease. */
const MANY = 2100
const idsOf = (operations: readonly Operation[]): string[] => operations.map(({ id }) => id)

const OUTBOX: StoreCases = {
  'a request event keeps its profile, as whoever publishes it again must write it in the same way': async (kit) => {
    const profile = { name: 'nest', answers: 'event', pattern: { cmd: 'ask' } } as const
    const id = createId(Date.now())
    await kit.created({ id, request: kit.event('Contract::Asked', { correlationId: id, profile }) })
    const { operations } = await kit.store.leaseUnpublished(LEASE)
    assert.deepEqual(operations[0]?.request?.profile, profile)
  },
  'FM-B1 operations whose request is not known to be published are lent, the oldest first': async (kit) => {
    const ids = []
    for (let index = 0; index < 5; index += 1) ids.push((await kit.created()).id)
    await kit.store.markPublished([ids[1] ?? ''])
    const { operations } = await kit.store.leaseUnpublished({ ...LEASE, limit: 3 })
    assert.deepEqual(idsOf(operations), [ids[0], ids[2], ids[3]])
    assert.equal(operations[0]?.request?.correlationId, ids[0])
    assert.equal((await kit.get(ids[1] ?? '')).published, true)
    assert.equal((await kit.get(ids[1] ?? '')).version, 1)
  },
  'operations that are younger than wanted are not lent': async (kit) => {
    await kit.created()
    assert.deepEqual((await kit.store.leaseUnpublished({ ...LEASE, olderThanMs: 300_000 })).operations, [])
  },
  'a lent operation is lent again only when its lease is over': async (kit) => {
    const { id } = await kit.created()
    const first = await kit.store.leaseUnpublished({ ...LEASE, leaseMs: TTL_MS })
    assert.deepEqual(idsOf(first.operations), [id])
    await kit.advance(TTL_MS + 1)
    const second = await kit.store.leaseUnpublished(LEASE)
    assert.deepEqual(idsOf(second.operations), [id])
    assert.ok(second.token > first.token, 'tokens grow')
    assert.deepEqual((await kit.store.leaseUnpublished(LEASE)).operations, [])
  },
  'FM-B12 while an operation is lent, younger ones with the key of its request are not': async (kit) => {
    const keyed = (id: string, key: string) =>
      kit.created({ id, request: kit.event('Contract::Asked', { correlationId: id, key }) })
    await keyed('first', 'a')
    assert.equal((await kit.store.leaseUnpublished(LEASE)).operations.length, 1)
    await keyed('second', 'a')
    await keyed('third', 'b')
    assert.deepEqual(idsOf((await kit.store.leaseUnpublished(LEASE)).operations), ['third'])
    await kit.store.markPublished(['first'])
    assert.deepEqual(idsOf((await kit.store.leaseUnpublished(LEASE)).operations), ['second'])
  },
  'a key that is held holds up no other, however much waits with it': async (kit) => {
    const keyed = (key: string) => kit.created({ request: kit.event('Contract::Asked', { key }) })
    // One after the other, as a store may write those that come together as one, and lend by what it wrote.
    for (let index = 0; index < MANY; index += 1) await keyed('held')
    const other = await keyed('other')
    await kit.store.leaseUnpublished({ ...LEASE, limit: 1 })
    const lent = []
    for (let turn = 0; turn < 3; turn += 1) lent.push(...(await kit.store.leaseUnpublished(LEASE)).operations)
    assert.deepEqual(idsOf(lent), [other.id])
  },
  'what is past its time holds the key of its request no longer, though its lease goes on': async (kit) => {
    const keyed = (id: string, init: Partial<NewOperation>) =>
      kit.created({ id, request: kit.event('Contract::Asked', { correlationId: id, key: 'a' }), ...init })
    await keyed('first', { ttlMs: TTL_MS })
    assert.deepEqual(idsOf((await kit.store.leaseUnpublished(LEASE)).operations), ['first'])
    await keyed('second', {})
    await kit.advance(TTL_MS + 1)
    assert.deepEqual(idsOf((await kit.store.leaseUnpublished(LEASE)).operations), ['second'])
  },
  'FM-B15 leases at once lend each operation once': async (kit) => {
    const created = await atOnce(20, () => kit.created())
    const leases = await atOnce(10, () => kit.store.leaseUnpublished({ ...LEASE, limit: 5 }))
    const lent = leases.flatMap(({ operations }) => idsOf(operations))
    assert.equal(new Set(lent).size, lent.length)
    for (const { operations } of await atOnce(1, () => kit.store.leaseUnpublished(LEASE)))
      lent.push(...idsOf(operations))
    assert.deepEqual(lent.sort(), idsOf(created).sort())
  },
  'FM-D16 a mark under an older token is ignored': async (kit) => {
    const { id } = await kit.created()
    const paused = await kit.store.leaseUnpublished({ ...LEASE, leaseMs: TTL_MS })
    await kit.advance(TTL_MS + 1)
    const taken = await kit.store.leaseUnpublished(LEASE)
    await kit.store.markPublished([id], paused.token)
    assert.equal((await kit.get(id)).published, false)
    await kit.store.markPublished([id], taken.token)
    assert.equal((await kit.get(id)).published, true)
  },
  'FM-P2 what has been lent may be published, so an ending that frees the key is stale': async (kit) => {
    const init = { idempotency: { key: 'lent', fingerprint: 'f' } }
    const { id } = await kit.created(init)
    const lease = await kit.store.leaseUnpublished({ ...LEASE, leaseMs: TTL_MS })
    const freeing = kit.ending('failed', { releaseKey: true })
    assert.equal((await kit.complete(id, freeing)).verdict, 'stale')
    await kit.advance(TTL_MS + 1)
    assert.equal((await kit.complete(id, freeing)).verdict, 'stale')
    await kit.store.markPublished([id], lease.token)
    assert.equal((await kit.complete(id, freeing)).verdict, 'stale')
    assert.equal((await kit.get(id)).state, 'running')
    assert.equal((await kit.store.create(kit.operation(init))).created, false)
    assert.equal((await kit.complete(id, kit.ending('failed'))).verdict, 'won')
    assert.equal((await kit.complete(id, freeing)).verdict, 'ended')
  },
  'FM-B17 operations that have ended are not lent, and a mark leaves them as they are': async (kit) => {
    const [canceled, done] = [await kit.created(), await kit.created()]
    await kit.complete(canceled.id, kit.ending('canceled'))
    await kit.complete(done.id, kit.result())
    assert.deepEqual((await kit.store.leaseUnpublished(LEASE)).operations, [])
    await kit.store.markPublished([canceled.id, done.id, 'unknown'])
    assert.deepEqual([(await kit.get(canceled.id)).published, (await kit.get(canceled.id)).state], [false, 'canceled'])
  },
  'operations past their time are not lent, and a mark comes too late for them': async (kit) => {
    const { id } = await kit.created({ ttlMs: TTL_MS })
    await kit.advance(TTL_MS + 1)
    assert.deepEqual((await kit.store.leaseUnpublished(LEASE)).operations, [])
    await kit.store.markPublished([id])
    assert.deepEqual([(await kit.get(id)).published, (await kit.get(id)).state], [false, 'expired'])
  },
}

const TIME: StoreCases = {
  'an operation past its time is shown as expired, swept or not': async (kit) => {
    const { id } = await kit.created({ ttlMs: TTL_MS })
    await kit.advance(TTL_MS + 1)
    for (const sweep of [false, true]) {
      if (sweep) await kit.store.sweep(100)
      const { state, version, error, result } = await kit.get(id)
      assert.deepEqual([state, version, error?.code, result], ['expired', 2, 'ERR_RESULT_TIMEOUT', undefined])
    }
  },
  'FM-D7 a result that comes past the time is late, swept or not': async (kit) => {
    const [swept, unswept] = [await kit.created({ ttlMs: TTL_MS }), await kit.created({ ttlMs: TTL_MS + 1 })]
    await kit.advance(TTL_MS + 2)
    assert.equal((await kit.complete(unswept.id, kit.result())).verdict, 'late')
    await kit.store.sweep(100)
    const { verdict, operation } = await kit.complete(swept.id, kit.result())
    assert.deepEqual([verdict, operation.state], ['late', 'expired'])
    assert.equal((await kit.complete(swept.id, kit.ending('canceled'))).verdict, 'ended')
  },
  'progress past the time is dropped, and progress in time does not prolong it': async (kit) => {
    const { id } = await kit.created({ ttlMs: TTL_MS })
    await kit.store.progress(id, kit.event('Contract::Progressed'))
    await kit.advance(TTL_MS + 1)
    assert.equal(await kit.store.progress(id, kit.event('Contract::Progressed')), undefined)
    assert.equal((await kit.get(id)).state, 'expired')
  },
  'FM-D12 an ended operation and its key are kept for their retention, and then gone together': async (kit) => {
    const idempotency = { key: 'k', fingerprint: 'f' }
    const [kept, gone] = [await kit.created(), await kit.created({ idempotency, retentionMs: TTL_MS })]
    for (const { id } of [kept, gone]) await kit.complete(id, kit.result())
    await kit.advance(TTL_MS + 1)
    assert.equal(await kit.store.get(gone.id), undefined)
    assert.equal(await kit.store.complete(gone.id, kit.result()), undefined)
    assert.equal((await kit.get(kept.id)).state, 'succeeded')
    const fresh = await kit.created({ idempotency })
    await kit.store.purge(100)
    assert.equal((await kit.store.create(kit.operation({ idempotency }))).operation.id, fresh.id)
  },
  'a purge drops what has had its time, by and by, and says when there is no more': async (kit) => {
    const { records } = kit.store
    const kept = await kit.created()
    await records.put({ key: 'kept', value: Buffer.from('v') })
    assert.equal(await kit.store.purge(100), false)
    for (let n = 0; n < 5; n += 1) {
      const { id } = await kit.created({ retentionMs: TTL_MS })
      await kit.complete(id, kit.result())
      await records.put({ key: `past ${n}`, value: Buffer.from('v'), ttlMs: TTL_MS })
    }
    await kit.advance(TTL_MS + 1)
    let calls = 1
    while (await kit.store.purge(2)) calls += 1
    assert.ok(calls >= 3, `${calls} calls dropped five records, two at a time`)
    assert.deepEqual(
      (await records.list('')).map(({ key }) => key),
      ['kept'],
    )
    assert.equal((await kit.get(kept.id)).state, 'running')
  },
  'FM-F14 a sweep ends no more than it is told, and gives each operation once': async (kit) => {
    const created = await atOnce(5, () => kit.created({ ttlMs: TTL_MS }))
    await kit.created()
    assert.deepEqual(await kit.store.sweep(100), [])
    await kit.advance(TTL_MS + 1)
    const batches = []
    for (let count = 0; count < 4; count += 1) batches.push(await kit.store.sweep(2))
    assert.deepEqual(
      batches.map(({ length }) => length),
      [2, 2, 1, 0],
    )
    for (const { state } of batches.flat()) assert.equal(state, 'expired')
    assert.deepEqual(batches.flatMap(idsOf).sort(), idsOf(created).sort())
  },
  'FM-D8 sweeps at once give each operation once': async (kit) => {
    const created = await atOnce(20, () => kit.created({ ttlMs: TTL_MS }))
    await kit.advance(TTL_MS + 1)
    const swept = (await atOnce(5, () => kit.store.sweep(100))).flat()
    assert.deepEqual(idsOf(swept).sort(), idsOf(created).sort())
  },
}

const WATCHING: StoreCases = {
  'where changes can be watched, a watcher hears of progress and endings until it stops': async (kit) => {
    if (kit.store.watch === undefined) return
    const heard: string[] = []
    const stop = await kit.store.watch((id) => heard.push(id))
    const [one, two] = [await kit.created(), await kit.created()]
    await kit.store.progress(one.id, kit.event('Contract::Progressed'))
    await kit.complete(two.id, kit.result())
    await kit.until(() => heard.includes(one.id) && heard.includes(two.id))
    const count = heard.length
    await stop()
    await kit.complete(one.id, kit.result())
    await kit.quiet()
    assert.equal(heard.length, count)
  },
  'where changes can be watched, a watcher hears of operations that a sweep expires': async (kit) => {
    if (kit.store.watch === undefined) return
    const heard: string[] = []
    await kit.store.watch((id) => heard.push(id))
    const { id } = await kit.created({ ttlMs: TTL_MS })
    await kit.advance(TTL_MS + 1)
    await kit.store.sweep(100)
    await kit.until(() => heard.includes(id))
  },
  'where changes can be watched, a watcher that throws disturbs nobody': async (kit) => {
    if (kit.store.watch === undefined) return
    const heard: string[] = []
    await kit.store.watch(() => {
      throw new Error('a listener that throws')
    })
    await kit.store.watch((id) => heard.push(id))
    const { id } = await kit.created()
    assert.equal((await kit.complete(id, kit.result())).verdict, 'won')
    await kit.until(() => heard.includes(id))
  },
}
