import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createId, normaliseId, timeOfId } from '../../../src/core/ids.js'

describe('ids', () => {
  it('FM-A9 an id of ours is understood as text and as bytes, and tells its time', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 48 - 1 }), (time) => {
        const id = createId(time)
        expect(normaliseId(id)).toBe(id)
        expect(normaliseId(Buffer.from(id))).toBe(id)
        expect(timeOfId(id)).toBe(time)
      }),
      { numRuns: 2000 },
    )
  })

  it('FM-A9 anything else is no id or a harmless text, and never throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.string({ maxLength: 200 }), fc.uint8Array()), (value) => {
        const id = normaliseId(value)
        if (id !== undefined) expect(id).toMatch(/^[A-Za-z0-9_-]{1,128}$/)
        if (typeof value === 'string') expect(() => timeOfId(value)).not.toThrow()
      }),
      { numRuns: 5000 },
    )
  })
})
