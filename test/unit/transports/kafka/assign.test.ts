import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeOwned, encodeOwned, sharePartitions } from '../../../../src/transports/kafka/assign.js'

const ids = (topic: string, count: number) => Array.from({ length: count }, (_, one) => `${topic}:${one}`)

describe('the sharing of partitions', () => {
  it('gives each partition to one member, as evenly as can be, and the same again when nothing has changed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 7 }), fc.nat(20), fc.infiniteStream(fc.nat(6)), (count, size, stream) => {
        const partitions = new Map([['t', ids('t', size)]])
        const owned = new Map<string, string[]>()
        for (const id of ids('t', size)) {
          const owner = `m${Number(stream.next().value) % count}`
          owned.set(owner, [...(owned.get(owner) ?? []), id])
        }
        const members = Array.from({ length: count }, (_, one) => `m${one}`)
        const join = (of: ReadonlyMap<string, readonly string[]>) =>
          sharePartitions(
            members.map((id) => ({ id, topics: ['t'], owned: of.get(id) ?? [] })),
            partitions,
          )
        const shares = join(owned)
        expect([...shares.values()].flat().sort()).toEqual(ids('t', size).sort())
        const sizes = [...shares.values()].map(({ length }) => length)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
        const again = join(shares)
        for (const [id, share] of shares) expect(new Set(again.get(id))).toEqual(new Set(share))
      }),
    )
  })

  it('a member keeps what it needs most when another one comes', () => {
    const owned = ['t:2', 't:0', 't:1', 't:3']
    const members = [
      { id: 'old', topics: ['t'], owned },
      { id: 'new', topics: ['t'], owned: [] },
    ]
    const shares = sharePartitions(members, new Map([['t', ids('t', 4)]]))
    expect(shares.get('old')).toEqual(['t:2', 't:0'])
  })

  it('gives partitions only to those who read their topic', () => {
    const members = [
      { id: 'a', topics: ['t', 'u'], owned: [] },
      { id: 'b', topics: ['u'], owned: ['t:0'] },
    ]
    const shares = sharePartitions(
      members,
      new Map([
        ['t', ids('t', 2)],
        ['u', ids('u', 2)],
        ['v', ids('v', 2)],
      ]),
    )
    expect(shares.get('a')).toEqual(expect.arrayContaining(['t:0', 't:1']))
    expect([...shares.values()].flat().sort()).toEqual(['t:0', 't:1', 'u:0', 'u:1'])
  })

  it('what members say is read back, and nonsense is nothing', () => {
    expect(decodeOwned(encodeOwned(['t:0', 't:1']))).toEqual(['t:0', 't:1'])
    for (const other of [undefined, null, Buffer.from('{'), Buffer.from('{}'), Buffer.from('[1,null]')])
      expect(decodeOwned(other)).toEqual([])
  })
})
