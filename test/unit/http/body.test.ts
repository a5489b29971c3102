import { createGateway, type HttpRequest, memoryTransport } from 'respond-async'
import { describe, expect, it } from 'vitest'
import { collectBody, headerOf, readBody } from '../../../src/http/body.js'
import { httpSettingsOf } from '../../../src/http/settings.js'

const settings = httpSettingsOf(createGateway({ transport: memoryTransport(), bodyLimit: 100 }))
const JSON_TYPE = { 'content-type': 'application/json' }

async function read(request: Partial<HttpRequest>): Promise<unknown> {
  return readBody({ method: 'POST', url: '/', params: {}, headers: {}, ...request }, settings)
}

function bytes(text: string | Uint8Array): Pick<HttpRequest, 'readBody'> {
  return { readBody: async () => Buffer.from(text) }
}

describe('readBody', () => {
  it('takes what a parser has made of the body', async () => {
    expect(await read({ headers: JSON_TYPE, body: { a: 1 } })).toEqual({ a: 1 })
    expect(await read({ headers: { ...JSON_TYPE, 'content-length': '4' }, body: null })).toBeNull()
  })

  it('parses the body where no parser has', async () => {
    expect(await read({ headers: JSON_TYPE, ...bytes('{"a":"é"}') })).toEqual({ a: 'é' })
    expect(await read({ headers: JSON_TYPE, ...bytes('\ufeff[1]') })).toEqual([1])
    expect(await read({ headers: { ...JSON_TYPE, 'content-encoding': 'Identity' }, ...bytes('1') })).toBe(1)
  })

  it('asks for no more bytes than the limit', async () => {
    const limits: number[] = []
    const readBody = async (limit: number) => {
      limits.push(limit)
      return Buffer.from('1')
    }
    await read({ headers: JSON_TYPE, readBody })
    expect(limits).toEqual([100])
  })

  it.each<[string, Partial<HttpRequest>]>([
    ['a length of 00', { headers: { 'content-length': '00' }, ...bytes('') }],
    ['a length of 0', { headers: { 'content-length': '0', 'content-type': 'text/plain' }, ...bytes('') }],
    ['neither a length nor a body', { headers: {} }],
    ['nothing in the body', { headers: {}, ...bytes('') }],
    ['nothing in a body of chunks', { headers: { ...JSON_TYPE, 'transfer-encoding': 'chunked' }, ...bytes('') }],
  ])('gives nothing for a request with %s', async (_, request) => {
    expect(await read(request)).toBeUndefined()
  })

  it.each(['{', '\u0000', '{"a":1}x'])('is refused when it is no JSON: %j', async (text) => {
    const headers = { ...JSON_TYPE, 'transfer-encoding': 'chunked' }
    await expect(read({ headers, ...bytes(text) })).rejects.toMatchObject({ code: 'ERR_MALFORMED_BODY' })
  })

  it('is refused when it is no UTF-8', async () => {
    const invalid = bytes(Uint8Array.of(0x22, 0xff, 0x22))
    await expect(read({ headers: JSON_TYPE, ...invalid })).rejects.toMatchObject({ code: 'ERR_MALFORMED_BODY' })
  })

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'application/json; charset=latin1', ''])(
    'F09 F08 is refused as %j, and the answer says what would do',
    async (type) => {
      const refused = { code: 'ERR_UNSUPPORTED_MEDIA_TYPE', details: { headers: { accept: 'application/json' } } }
      await expect(read({ headers: { 'content-type': type }, ...bytes('1') })).rejects.toMatchObject(refused)
      await expect(read({ headers: { 'content-type': type }, body: 'x' })).rejects.toMatchObject(refused)
    },
  )

  it('is refused without a type when it has a length, or is announced', async () => {
    for (const headers of [{ 'content-length': '1' }, { 'transfer-encoding': 'chunked' }]) {
      await expect(read({ headers, ...bytes('1') })).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED_MEDIA_TYPE' })
    }
  })

  it('F09 FM-H13 is refused when it is compressed and nobody has unpacked it', async () => {
    const headers = { ...JSON_TYPE, 'content-encoding': 'gzip' }
    const refused = { code: 'ERR_UNSUPPORTED_MEDIA_TYPE', details: { headers: { 'accept-encoding': 'identity' } } }
    await expect(read({ headers, ...bytes('1') })).rejects.toMatchObject(refused)
    expect(await read({ headers, body: 1 })).toBe(1)
  })

  it('says so when something in front has taken the body and left nothing', async () => {
    const headers = { ...JSON_TYPE, 'content-length': '9' }
    await expect(read({ headers, ...bytes('') })).rejects.toMatchObject({ code: 'ERR_CONFIG' })
  })

  it('FM-H11 takes __proto__ for plain data', async () => {
    const body = await read({ headers: JSON_TYPE, ...bytes('{"__proto__":{"isAdmin":true}}') })
    expect((body as { isAdmin?: boolean }).isAdmin).toBeUndefined()
    expect(Object.keys(body as object)).toEqual(['__proto__'])
  })
})

describe('collectBody', () => {
  async function* chunks(...texts: (string | Error)[]): AsyncGenerator<Uint8Array> {
    for (const text of texts) {
      if (text instanceof Error) throw text
      yield Buffer.from(text)
    }
  }

  it('gathers up to the limit', async () => {
    expect(Buffer.from(await collectBody(chunks('ab', 'cd'), 4)).toString()).toBe('abcd')
    expect(await collectBody([], 4, '0')).toHaveLength(0)
  })

  it('F14 FM-H12 stops beyond it, and does not begin what is announced as longer', async () => {
    const read: string[] = []
    async function* watched() {
      for (const text of ['abc', 'def', 'ghi']) {
        read.push(text)
        yield Buffer.from(text)
      }
    }
    await expect(collectBody(watched(), 4)).rejects.toMatchObject({ code: 'ERR_BODY_TOO_LARGE' })
    expect(read).toEqual(['abc', 'def'])
    await expect(collectBody(watched(), 4, '9')).rejects.toMatchObject({
      code: 'ERR_BODY_TOO_LARGE',
      message: 'The body is longer than 4 bytes.',
    })
    expect(read).toHaveLength(2)
  })

  it('FM-E13 a body that breaks off is malformed', async () => {
    await expect(collectBody(chunks('a', new Error('aborted')), 4)).rejects.toMatchObject({
      code: 'ERR_MALFORMED_BODY',
    })
  })
})

describe('headerOf', () => {
  it('joins several lines as HTTP does', () => {
    const request = { method: 'GET', url: '/', params: {}, headers: { a: ['1', '2'], b: 'x' } }
    expect([headerOf(request, 'a'), headerOf(request, 'b'), headerOf(request, 'c')]).toEqual(['1, 2', 'x', undefined])
  })
})
