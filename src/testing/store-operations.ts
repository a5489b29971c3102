import assert from 'node:assert/strict'
import { SEQUENCE_HEADER } from '../core/operation.js'
import { assertSameEvent, atOnce, type StoreCases, TTL_MS } from './store-kit.js'

const CREATING: StoreCases = {
  'a new operation is running, and can be read': async (kit) => {
    const init = kit.operation({ principal: 'ann', ttlMs: 5000, retentionMs: 7000 })
    const { created, operation } = await kit.store.create(init)
    assert.equal(created, true)
    for (const read of [operation, await kit.get(init.id)]) {
      const { id, command, state, version, principal, published, retentionMs } = read
      assert.deepEqual(
        { id, command, state, version, principal, published, retentionMs },
        {
          id: init.id,
          command: init.command,
          state: 'running',
          version: 1,
          principal: 'ann',
          published: false,
          retentionMs: 7000,
        },
      )
      assert.equal(read.updatedAt, read.createdAt)
      assert.equal(read.expiresAt, read.createdAt + 5000)
      assertSameEvent(read.request, init.request)
    }
  },
  'an id that nobody created is unknown': async (kit) => {
    for (const id of ['unknown', '', '__proto__', 'constructor']) {
      assert.equal(await kit.store.get(id), undefined)
      assert.equal(await kit.store.complete(id, kit.result()), undefined)
      assert.equal(await kit.store.progress(id, kit.event('Contract::Progressed')), undefined)
    }
  },
  'FM-D3 the same create again gives the operation as it stands': async (kit) => {
    const init = kit.operation({ idempotency: { key: 'k', fingerprint: 'f' } })
    await kit.store.create(init)
    const again = await kit.store.create(init)
    assert.deepEqual([again.created, again.operation.state, again.operation.version], [true, 'running', 1])
    await kit.complete(init.id, kit.result())
    const late = await kit.store.create(init)
    assert.deepEqual([late.created, late.operation.state], [true, 'succeeded'])
  },
  'an operation is found by its key, as long as it has it': async (kit) => {
    const idempotency = { key: 'k', fingerprint: 'f' }
    assert.equal(await kit.store.find('k'), undefined)
    const { id } = await kit.created({ idempotency })
    assert.deepEqual(await kit.store.find('k'), await kit.get(id))
    await kit.complete(id, kit.ending('failed', { releaseKey: true }))
    assert.equal(await kit.store.find('k'), undefined)
    const next = await kit.created({ idempotency, retentionMs: TTL_MS })
    await kit.complete(next.id, kit.result())
    assert.equal((await kit.store.find('k'))?.state, 'succeeded')
    await kit.advance(TTL_MS + 1)
    assert.equal(await kit.store.find('k'), undefined)
  },
  'FM-D17 FM-D18 of fifty creates with one key at once, one makes an operation': async (kit) => {
    const idempotency = { key: 'one key', fingerprint: 'f' }
    const all = await atOnce(50, () => kit.store.create(kit.operation({ idempotency })))
    assert.equal(all.filter(({ created }) => created).length, 1)
    assert.equal(new Set(all.map(({ operation }) => operation.id)).size, 1)
  },
  'FM-A15 a key that is taken gives the operation that has it': async (kit) => {
    const first = await kit.created({ idempotency: { key: 'k', fingerprint: 'first' } })
    const joined = await kit.store.create(kit.operation({ idempotency: { key: 'k', fingerprint: 'second' } }))
    assert.deepEqual([joined.created, joined.operation.id, joined.operation.state], [false, first.id, 'running'])
    assert.deepEqual(joined.operation.idempotency, { key: 'k', fingerprint: 'first' })
    await kit.complete(first.id, kit.result())
    const replayed = await kit.store.create(kit.operation({ idempotency: { key: 'k', fingerprint: 'first' } }))
    assert.deepEqual(
      [replayed.created, replayed.operation.id, replayed.operation.state],
      [false, first.id, 'succeeded'],
    )
  },
  'keys of any kind are told apart': async (kit) => {
    const keys = [
      'a',
      'A',
      ' a',
      '__proto__',
      'constructor',
      'schlüssel ✓',
      'a\nb',
      'x'.repeat(1000),
      `${'x'.repeat(999)}y`,
    ]
    const operations = []
    for (const key of keys) operations.push(await kit.created({ idempotency: { key, fingerprint: 'f' } }))
    for (const [index, key] of keys.entries()) {
      const joined = await kit.store.create(kit.operation({ idempotency: { key, fingerprint: 'f' } }))
      assert.deepEqual([joined.created, joined.operation.id], [false, operations[index]?.id])
    }
  },
  'an ending that releases the key makes it free at once': async (kit) => {
    const idempotency = { key: 'k', fingerprint: 'f' }
    const first = await kit.created({ idempotency })
    const { operation } = await kit.complete(first.id, kit.ending('failed', { releaseKey: true }))
    assert.equal(operation.idempotency, undefined)
    const second = await kit.created({ idempotency })
    assert.notEqual(second.id, first.id)
  },
  'an ending that came too late releases no key': async (kit) => {
    const idempotency = { key: 'k', fingerprint: 'f' }
    const first = await kit.created({ idempotency })
    await kit.complete(first.id, kit.result())
    await kit.complete(first.id, kit.ending('failed', { releaseKey: true }))
    const joined = await kit.store.create(kit.operation({ idempotency }))
    assert.deepEqual([joined.created, joined.operation.id], [false, first.id])
  },
}

const ENDING: StoreCases = {
  'a result ends its operation': async (kit) => {
    const { id } = await kit.created({ retentionMs: 9000 })
    const ending = kit.result({ id: 'event 1', headers: { 'x-trace': 'grün', ['__proto__']: 'plain' } })
    const settled = await kit.complete(id, ending)
    assert.equal(settled.verdict, 'won')
    for (const read of [settled.operation, await kit.get(id)]) {
      assert.deepEqual([read.state, read.version, read.published, read.error], ['succeeded', 2, true, undefined])
      assert.equal(read.request, undefined)
      assert.equal(read.expiresAt, read.updatedAt + 9000)
      assertSameEvent(read.result, ending.result)
    }
  },
  'an ending without a result leaves its reason': async (kit) => {
    for (const state of ['failed', 'canceled', 'expired'] as const) {
      const { id } = await kit.created()
      assert.equal((await kit.complete(id, kit.ending(state))).verdict, 'won')
      const read = await kit.get(id)
      assert.deepEqual([read.state, read.version, read.published, read.result], [state, 2, false, undefined])
      assert.deepEqual(read.error, { code: 'ERR_OPERATION_CANCELED', message: 'it was ended' })
    }
  },
  'FM-D5 of fifty endings at once, one wins': async (kit) => {
    const { id } = await kit.created()
    const all = await atOnce(50, (index) =>
      kit.complete(id, index % 2 === 0 ? kit.result({ id: `event-${index}` }) : kit.ending('canceled')),
    )
    assert.equal(all.filter(({ verdict }) => verdict === 'won').length, 1)
    const { state, version } = await kit.get(id)
    for (const { operation } of all) assert.deepEqual([operation.state, operation.version], [state, version])
  },
  'FM-D4 the event that ended an operation changes nothing when it comes again': async (kit) => {
    const { id } = await kit.created()
    const ending = kit.result()
    await kit.complete(id, ending)
    const before = await kit.get(id)
    assert.equal((await kit.complete(id, ending)).verdict, 'same')
    assert.deepEqual(await kit.get(id), before)
  },
  'FM-A4 another event of the same type is a duplicate': async (kit) => {
    const { id } = await kit.created()
    await kit.complete(id, kit.result({ id: 'first' }))
    assert.equal((await kit.complete(id, kit.result({ id: 'second' }))).verdict, 'duplicate')
    assert.equal((await kit.get(id)).result?.id, 'first')
  },
  'FM-A5 an event that contradicts the first one is kept beside it': async (kit) => {
    const { id } = await kit.created()
    await kit.complete(id, kit.result({ id: 'first' }))
    const other = { ...kit.result({ id: 'second', type: 'Contract::Denied' }), state: 'failed' } as const
    assert.equal((await kit.complete(id, other)).verdict, 'conflict')
    const read = await kit.get(id)
    assert.deepEqual([read.state, read.version, read.result?.id], ['succeeded', 2, 'first'])
    assertSameEvent(read.conflictingResult, other.result)
    assert.equal((await kit.complete(id, other)).verdict, 'same')
    const third = kit.result({ id: 'third', type: 'Contract::Denied' })
    assert.equal((await kit.complete(id, third)).verdict, 'conflict')
    assert.equal((await kit.get(id)).conflictingResult?.id, 'second')
  },
  'FM-D7 a result after an end without one is kept as late': async (kit) => {
    const { id } = await kit.created()
    await kit.complete(id, kit.ending('expired'))
    const late = kit.result({ id: 'late' })
    assert.equal((await kit.complete(id, late)).verdict, 'late')
    const read = await kit.get(id)
    assert.deepEqual([read.state, read.version, read.result], ['expired', 2, undefined])
    assertSameEvent(read.lateResult, late.result)
    assert.equal((await kit.complete(id, late)).verdict, 'same')
    assert.equal((await kit.complete(id, kit.result({ id: 'later' }))).verdict, 'duplicate')
    assert.equal((await kit.get(id)).lateResult?.id, 'late')
  },
  'FM-D6 a cancellation after the end changes nothing': async (kit) => {
    const { id } = await kit.created()
    await kit.complete(id, kit.result())
    const { verdict, operation } = await kit.complete(id, kit.ending('canceled'))
    assert.deepEqual([verdict, operation.state], ['ended', 'succeeded'])
    assert.equal((await kit.get(id)).state, 'succeeded')
  },
  'a conditional cancellation needs the version': async (kit) => {
    const { id } = await kit.created()
    await kit.store.progress(id, kit.event('Contract::Progressed'))
    assert.equal((await kit.complete(id, kit.ending('canceled', { ifVersion: 1 }))).verdict, 'stale')
    assert.equal((await kit.get(id)).state, 'running')
    assert.equal((await kit.complete(id, kit.ending('canceled', { ifVersion: 2 }))).verdict, 'won')
  },
  'FM-H4 a result of another command ends nothing': async (kit) => {
    const { id } = await kit.created()
    assert.equal((await kit.complete(id, { ...kit.result(), command: 'Contract::Other' })).verdict, 'foreign')
    assert.equal((await kit.get(id)).state, 'running')
  },
  'an operation that was given out does not change': async (kit) => {
    const { id } = await kit.created()
    const [running, kept] = [await kit.get(id), structuredClone(await kit.get(id))]
    await kit.complete(id, kit.result())
    assert.equal(running.state, 'running')
    assert.equal(running.version, kept.version)
  },
  'FM-D15 a result of half a MiB is kept whole': async (kit) => {
    const { id } = await kit.created()
    const ending = kit.result({ body: Buffer.alloc(2 ** 19, 'x') })
    await kit.complete(id, ending)
    assertSameEvent((await kit.get(id)).result, ending.result)
  },
}

const PROGRESS: StoreCases = {
  'the latest progress is kept, and makes a new version': async (kit) => {
    const { id } = await kit.created()
    const event = kit.event('Contract::Progressed', { body: Buffer.from('{"percent":50}') })
    const shown = await kit.store.progress(id, event)
    assert.equal(shown?.version, 2)
    const read = await kit.get(id)
    assert.deepEqual([read.state, read.version, read.progress?.sequence], ['running', 2, 1])
    assertSameEvent(read.progress?.event, event)
  },
  'FM-A12 progress that is older than what is known is dropped': async (kit) => {
    const { id } = await kit.created()
    const numbered = (sequence: number) =>
      kit.event('Contract::Progressed', { headers: { [SEQUENCE_HEADER]: String(sequence) } })
    assert.equal((await kit.store.progress(id, numbered(5)))?.progress?.sequence, 5)
    assert.equal(await kit.store.progress(id, numbered(4)), undefined)
    assert.equal(await kit.store.progress(id, numbered(5)), undefined)
    assert.deepEqual([(await kit.get(id)).progress?.sequence, (await kit.get(id)).version], [5, 2])
    assert.equal((await kit.store.progress(id, numbered(6)))?.version, 3)
  },
  'progress after the end is dropped': async (kit) => {
    const { id } = await kit.created()
    await kit.complete(id, kit.ending('canceled'))
    assert.equal(await kit.store.progress(id, kit.event('Contract::Progressed')), undefined)
    assert.equal((await kit.get(id)).progress, undefined)
  },
  'progress at once with an end never shows after it': async (kit) => {
    const { id } = await kit.created()
    await Promise.all([
      ...Array.from({ length: 10 }, () => kit.store.progress(id, kit.event('Contract::Progressed'))),
      kit.complete(id, kit.result()),
    ])
    assert.equal((await kit.get(id)).state, 'succeeded')
    const { version } = await kit.get(id)
    await kit.store.progress(id, kit.event('Contract::Progressed'))
    assert.equal((await kit.get(id)).version, version)
  },
}

/** How operations come to be, go on and end. */
export const OPERATIONS: StoreCases = { ...CREATING, ...ENDING, ...PROGRESS }
