import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isGatewayError } from '../../../src/core/errors.js'
import { readIdempotencyKey } from '../../../src/http/idempotency.js'

const RUNS = { numRuns: 2000 }
const printable = fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code))

describe('readIdempotencyKey', () => {
  it('H01 H04 every key of 1 to 255 printable ASCII characters is read from its quoted form', () => {
    fc.assert(
      fc.property(fc.string({ unit: printable, minLength: 1, maxLength: 255, size: 'max' }), (key) => {
        const quoted = `"${key.replace(/["\\]/g, '\\$&')}"`
        expect(readIdempotencyKey(quoted, { strict: true })).toBe(key)
        expect(readIdempotencyKey(quoted)).toBe(key)
      }),
      RUNS,
    )
  })

  it('H02 H03 H04 any text gives a key of 1 to 255 printable ASCII characters or ERR_IDEMPOTENCY_KEY_INVALID', () => {
    const hostile = fc.string({
      unit: fc.oneof(printable, fc.constantFrom('"', '\\', ',', 'é', '\n')),
      maxLength: 600,
      size: 'max',
    })
    fc.assert(
      fc.property(
        fc.oneof(
          hostile,
          hostile.map((text) => `"${text}"`),
          fc.string({ unit: 'binary' }),
        ),
        (text) => {
          try {
            expect(readIdempotencyKey(text)).toMatch(/^[\x20-\x7e]{1,255}$/)
          } catch (error) {
            expect(isGatewayError(error) && error.code).toBe('ERR_IDEMPOTENCY_KEY_INVALID')
          }
        },
      ),
      RUNS,
    )
  })
})
