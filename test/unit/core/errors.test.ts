import { describe, expect, it } from 'vitest'
import { ERRORS, type ErrorCode, GatewayError, isGatewayError, toGatewayError } from '../../../src/core/errors.js'

const CODES = Object.keys(ERRORS) as ErrorCode[]

describe('GatewayError', () => {
  it.each(CODES)('%s has a sentence of its own, and says whether the same call may succeed later', (code) => {
    const error = new GatewayError(code, 'text')
    expect(error).toMatchObject({ name: 'GatewayError', code, message: 'text', retryable: ERRORS[code].retryable })
    expect(error.stack).toContain('GatewayError')
    expect(CODES.filter((other) => ERRORS[other].title === ERRORS[code].title)).toEqual([code])
    expect(ERRORS[code].title).toMatch(/^[A-Z][^.]+[^.]$/)
  })

  it('has a cause only when there is one', () => {
    const cause = new Error('below')
    expect(new GatewayError('ERR_INTERNAL', 'x', { cause }).cause).toBe(cause)
    expect('cause' in new GatewayError('ERR_INTERNAL', 'x')).toBe(false)
  })
})

describe('isGatewayError', () => {
  it('knows the errors of another copy of the package', () => {
    const foreign = Object.assign(new Error('x'), { [Symbol.for('respond-async.error')]: true, code: 'ERR_CLOSED' })
    expect(isGatewayError(foreign)).toBe(true)
    expect(isGatewayError(new GatewayError('ERR_CLOSED', 'x'))).toBe(true)
  })

  it.each([undefined, null, 'ERR_CLOSED', 7, {}, new Error('x'), { code: 'ERR_CLOSED' }])('refuses %s', (value) => {
    expect(isGatewayError(value)).toBe(false)
  })
})

describe('toGatewayError', () => {
  it('keeps ours, and wraps what is not', () => {
    const ours = new GatewayError('ERR_CLOSED', 'x')
    expect(toGatewayError(ours, 'ERR_HOOK')).toBe(ours)
    const cause = new Error('secret')
    expect(toGatewayError(cause)).toMatchObject({ code: 'ERR_INTERNAL', message: ERRORS.ERR_INTERNAL.title, cause })
    expect(toGatewayError('text', 'ERR_HOOK')).toMatchObject({ code: 'ERR_HOOK', cause: 'text' })
  })
})
