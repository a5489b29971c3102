import assert from 'node:assert/strict'
import { atOnce, type StoreCases, TTL_MS } from './store-kit.js'

const bytes = (text: string): Uint8Array => Buffer.from(text)
const textOf = (record: { readonly value: Uint8Array } | undefined): string | undefined =>
  record === undefined ? undefined : Buffer.from(record.value).toString()

/** The versioned records beside the operations. */
export const RECORDS: StoreCases = {
  'a record is read as it was written': async ({ store: { records } }) => {
    const value = Uint8Array.from({ length: 256 }, (_, index) => index)
    assert.equal(await records.get('key'), undefined)
    const version = await records.put({ key: 'key', value })
    const record = await records.get('key')
    assert.deepEqual([record?.key, record?.version], ['key', version])
    assert.deepEqual(Buffer.from(record?.value ?? []), Buffer.from(value))
    await records.put({ key: 'empty', value: bytes('') })
    assert.equal(textOf(await records.get('empty')), '')
  },
  'each write makes a higher version': async ({ store: { records } }) => {
    const first = await records.put({ key: 'key', value: bytes('1') })
    const second = await records.put({ key: 'key', value: bytes('2') })
    assert.ok(first !== undefined && second !== undefined && first >= 1 && second > first)
    assert.equal(textOf(await records.get('key')), '2')
  },
  'a conditional write needs the version': async ({ store: { records } }) => {
    const version = await records.put({ key: 'key', value: bytes('1'), ifVersion: 0 })
    assert.ok(version)
    assert.equal(await records.put({ key: 'key', value: bytes('x'), ifVersion: 0 }), undefined)
    assert.equal(await records.put({ key: 'key', value: bytes('x'), ifVersion: version + 1 }), undefined)
    assert.equal(await records.put({ key: 'other', value: bytes('x'), ifVersion: 1 }), undefined)
    assert.equal(textOf(await records.get('key')), '1')
    assert.equal(await records.get('other'), undefined)
    assert.ok(await records.put({ key: 'key', value: bytes('2'), ifVersion: version }))
  },
  'of fifty conditional writes at once, one succeeds': async ({ store: { records } }) => {
    const versions = await atOnce(50, (index) => records.put({ key: 'key', value: bytes(`${index}`), ifVersion: 0 }))
    assert.equal(versions.filter((version) => version !== undefined).length, 1)
    assert.equal(textOf(await records.get('key')), `${versions.findIndex((version) => version !== undefined)}`)
  },
  'a record is deleted once, and only in the version wanted': async ({ store: { records } }) => {
    const version = (await records.put({ key: 'key', value: bytes('1') })) ?? 0
    assert.equal(await records.delete('key', version + 1), false)
    assert.equal(await records.delete('key', version), true)
    assert.equal(await records.delete('key'), false)
    assert.equal(await records.get('key'), undefined)
    assert.ok(await records.put({ key: 'key', value: bytes('2'), ifVersion: 0 }))
  },
  'a record past its time is gone everywhere': async (kit) => {
    const { records } = kit.store
    const version = await records.put({ key: 'key', value: bytes('1'), ttlMs: TTL_MS })
    await records.put({ key: 'kept', value: bytes('1') })
    await kit.advance(TTL_MS + 1)
    assert.deepEqual(
      (await records.list('k')).map(({ key }) => key),
      ['kept'],
    )
    assert.equal(await records.get('key'), undefined)
    assert.equal(await records.delete('key'), false)
    assert.equal(await records.put({ key: 'key', value: bytes('2'), ifVersion: version }), undefined)
    assert.ok(await records.put({ key: 'key', value: bytes('2'), ifVersion: 0 }))
    await kit.store.purge(100)
    assert.equal(textOf(await records.get('key')), '2')
  },
  'a write sets the time to live anew': async (kit) => {
    const { records } = kit.store
    await records.put({ key: 'key', value: bytes('1'), ttlMs: TTL_MS })
    await records.put({ key: 'key', value: bytes('2') })
    await kit.advance(TTL_MS + 1)
    await kit.store.purge(100)
    assert.equal(textOf(await records.get('key')), '2')
  },
  'a list gives the records of a prefix in the order of their keys, page by page': async ({ store: { records } }) => {
    const keys = ['b/3', 'a/1', 'b/1', 'b', 'b/2', 'c/1', 'b/10']
    for (const key of keys) await records.put({ key, value: bytes(key) })
    const all = await records.list('b/')
    assert.deepEqual(
      all.map(({ key }) => key),
      ['b/1', 'b/10', 'b/2', 'b/3'],
    )
    assert.deepEqual(all.map(textOf), ['b/1', 'b/10', 'b/2', 'b/3'])
    const first = await records.list('b/', { limit: 3 })
    assert.deepEqual(
      first.map(({ key }) => key),
      ['b/1', 'b/10', 'b/2'],
    )
    const second = await records.list('b/', { after: 'b/2', limit: 3 })
    assert.deepEqual(
      second.map(({ key }) => key),
      ['b/3'],
    )
    assert.deepEqual(await records.list('d'), [])
    assert.equal((await records.list('')).length, keys.length)
  },
  'characters that a database may treat as patterns are plain in keys': async ({ store: { records } }) => {
    const keys = ['a%b', 'a*b', 'a?b', 'a[x]b', 'a\\b', 'a_b', "a'b", '__proto__']
    for (const key of [...keys, 'axb']) await records.put({ key, value: bytes(key) })
    for (const key of keys) {
      assert.deepEqual((await records.list(key)).map(textOf), [key])
      assert.equal(textOf(await records.get(key)), key)
    }
  },
  'neither side can change what the other one holds': async ({ store: { records } }) => {
    const value = Buffer.from('kept')
    await records.put({ key: 'key', value })
    value.fill('x')
    ;(await records.get('key'))?.value.fill(120)
    ;(await records.list('key'))[0]?.value.fill(120)
    assert.equal(textOf(await records.get('key')), 'kept')
  },
  'an ending writes its records if it wins, and only then': async (kit) => {
    const { id } = await kit.created()
    const write = (text: string) => [
      { key: 'a', value: bytes(text) },
      { key: 'b', value: bytes(text), ifVersion: 0 },
    ]
    await kit.store.complete(id, kit.result(), write('first'))
    await kit.store.complete(id, kit.result(), write('second'))
    await kit.store.complete(id, kit.ending('canceled'), write('third'))
    await kit.store.complete('unknown', kit.result(), write('fourth'))
    assert.deepEqual((await kit.store.records.list('')).map(textOf), ['first', 'first'])
  },
  'FM-G2 of fifty endings at once, the records are those of the winner': async (kit) => {
    const { id } = await kit.created()
    const all = await atOnce(50, (index) =>
      kit.store.complete(id, kit.result({ id: `event-${index}` }), [
        { key: `won/${index}`, value: bytes(`event-${index}`) },
      ]),
    )
    const winner = all.findIndex((settled) => settled?.verdict === 'won')
    assert.deepEqual((await kit.store.records.list('won/')).map(textOf), [`event-${winner}`])
    assert.equal((await kit.get(id)).result?.id, `event-${winner}`)
  },
}
