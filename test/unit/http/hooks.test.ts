import { createGateway, memoryTransport } from 'respond-async'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../../src/core/errors.js'
import { callHook, principalOf, queryOf, toHookRequest } from '../../../src/http/hooks.js'
import { httpSettingsOf } from '../../../src/http/settings.js'
import { requestOf } from './support.js'

describe('callHook', () => {
  it('gives what the hook gives, at once or later', async () => {
    expect(await callHook('h', () => 1)).toBe(1)
    expect(await callHook('h', async () => 2)).toBe(2)
  })

  it('wraps what it throws, but errors of ours', async () => {
    const cause = new Error('secret')
    const thrown = { code: 'ERR_HOOK', message: 'The request was refused by h.', cause }
    await expect(callHook('h', () => Promise.reject(cause))).rejects.toMatchObject(thrown)
    await expect(
      callHook('h', () => {
        throw cause
      }),
    ).rejects.toMatchObject(thrown)
    const ours = new GatewayError('ERR_INVALID_INPUT', 'x')
    await expect(callHook('h', () => Promise.reject(ours))).rejects.toBe(ours)
  })
})

describe('principalOf', () => {
  it('is nobody without the hook, and whoever the hook says', async () => {
    const transport = memoryTransport()
    expect(await principalOf(httpSettingsOf(createGateway({ transport })), requestOf())).toBeUndefined()
    const gateway = createGateway({ transport, principal: async ({ headers }) => String(headers.authorization) })
    expect(await principalOf(httpSettingsOf(gateway), requestOf({ headers: { authorization: 'ada' } }))).toBe('ada')
  })
})

describe('toHookRequest', () => {
  it('shows the request with its query', () => {
    const raw = {}
    const request = requestOf({ url: '/a?x=1&y=2&x=3&z=&__proto__=p', params: { id: '7' }, body: { n: 1 }, raw })
    const full = toHookRequest(request, { principal: 'ada' })
    expect(full).toMatchObject({
      method: 'POST',
      url: request.url,
      params: { id: '7' },
      body: { n: 1 },
      principal: 'ada',
    })
    expect(full.raw).toBe(raw)
    expect(Object.entries(full.query)).toEqual([
      ['x', ['1', '3']],
      ['y', '2'],
      ['z', ''],
      ['__proto__', 'p'],
    ])
    expect(Object.getPrototypeOf(full.query)).toBeNull()
    expect(full.query).toBe(full.query)
    expect(Object.keys(full)).toContain('query')
  })

  it('has an empty query without one', () => {
    expect({ ...toHookRequest(requestOf({ url: '/a' })).query }).toEqual({})
    expect(queryOf(requestOf({ url: '/a?b=c' })).get('b')).toBe('c')
  })
})
