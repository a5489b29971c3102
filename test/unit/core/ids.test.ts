import { describe, expect, it } from 'vitest'
import { createId, normaliseId, timeOfId } from '../../../src/core/ids.js'

describe('createId', () => {
  it('FM-H1 100,000 ids of one millisecond are all different, and none tells the next', () => {
    const ids = Array.from({ length: 100_000 }, () => createId(1_700_000_000_000))
    expect(new Set(ids).size).toBe(ids.length)
    const time = ids[0]?.slice(0, 10)
    expect(ids.every((id) => /^[0-9A-HJKMNP-TV-Z]{26}$/.test(id) && id.startsWith(String(time)))).toBe(true)
    // Ids that count up would be in order, and would share the beginning of their random part.
    expect(ids.slice(1).filter((id, index) => id > String(ids[index])).length).toBeGreaterThan(40_000)
    expect(ids.slice(1).filter((id, index) => id > String(ids[index])).length).toBeLessThan(60_000)
    expect(new Set(ids.map((id) => id.slice(10, 14))).size).toBeGreaterThan(90_000)
  })

  it('tells when it was made', () => {
    expect(timeOfId(createId(1_700_000_000_123))).toBe(1_700_000_000_123)
  })
})

describe('timeOfId', () => {
  it.each([
    '',
    'abc',
    '550e8400-e29b-41d4-a716-446655440000',
    '8ZZZZZZZZZZZZZZZZZZZZZZZZZ',
    '01arz3ndektsv4rrffq69g5fav',
  ])('knows nothing of an id of another kind: %s', (id) => {
    expect(timeOfId(id)).toBeUndefined()
  })
})

describe('normaliseId', () => {
  const id = createId(0)

  it.each<[string, unknown, string | undefined]>([
    ['text', id, id],
    ['bytes', Buffer.from(id), id],
    ['a typed array', new Uint8Array([65, 66]), 'AB'],
    ['every character that may be in one', 'azAZ09_-', 'azAZ09_-'],
    ['upper and lower case, which differ', 'Ab', 'Ab'],
    ['128 characters', 'a'.repeat(128), 'a'.repeat(128)],
    ['129 characters', 'a'.repeat(129), undefined],
    ['nothing', undefined, undefined],
    ['null', null, undefined],
    ['the empty text', '', undefined],
    ['a number', 42, undefined],
    ['a list of headers', [id], undefined],
    ['an object', { toString: () => id }, undefined],
    ['bytes of a binary UUID', Buffer.from('550e8400e29b41d4a716446655440000', 'hex'), undefined],
    ['text with a line break', `${id}\n`, undefined],
    ['text with a space', 'a b', undefined],
    ['text beyond ASCII', 'é', undefined],
    ['the name of a property', '__proto__', '__proto__'],
  ])('FM-A9 takes %s for what it is', (_, value, expected) => {
    expect(normaliseId(value)).toBe(expected)
  })
})
