import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  findLink,
  isAccepted,
  readOperation,
  readProblem,
  retryAfterMs,
  statusReference,
} from '../../../src/client/answers.js'
import { cpuMs } from '../cpu-time.js'
import { accepted, json, problem } from './scripted-fetch.js'

describe('findLink', () => {
  it.each([
    ['I04 a token value', '</o/1>; rel=status', '/o/1'],
    ['I04 a quoted value', '</o/1>; rel="status"', '/o/1'],
    ['I04 a quoted pair', '</o/1>; rel="st\\atus"', '/o/1'],
    ['I04 white space around every separator', ' </o/1> ; title = "x" ; rel = "status" ', '/o/1'],
    ['I05 a relation in another case', '</o/1>; REL="Status"', '/o/1'],
    ['several relations in one parameter', '</o/1>; rel="monitor status"', '/o/1'],
    ['several links', '</docs>; rel=help, </o/1>; rel=status, </o/2>; rel=status', '/o/1'],
    ['a comma and a semicolon in the address', '</docs,a;b>; rel=help, </o/1,2;3>; rel=status', '/o/1,2;3'],
    ['a link within the quoted text of another', '</docs>; title="a, </evil>; rel=status", </o/1>; rel=status', '/o/1'],
    ['an escaped quote within quoted text', '</docs>; title="\\", </evil>; rel=status", </o/1>; rel=status', '/o/1'],
    ['empty list members and parameters', ', ,</o/1>;; rel=status;', '/o/1'],
    ['parameters without a value', '</o/1>; crossorigin; rel=status; x=', '/o/1'],
    ['the first of two rel parameters', '</o/1>; rel=help; rel=status', undefined],
    ['a link about another resource', '</o/1>; rel=status; anchor="/else"', undefined],
    ['a relation that only contains the word', '</o/1>; rel="status-page https://x.example/status"', undefined],
    ['nothing behind a malformed link', '</a>; title="open, </o/1>; rel=status', undefined],
    ['no link at all', '', undefined],
  ])('%s', (_, field, target) => {
    expect(findLink(field, 'status')).toBe(target)
  })

  it.each([
    ['semicolons', `</a>${';'.repeat(16_000)}x="`],
    ['semicolons and spaces', `</a>${'; '.repeat(8_000)}"`],
    ['spaces', `</a>;${' '.repeat(16_000)}"`],
    ['equals signs', `</a>${'; a= '.repeat(3_000)}"`],
    ['open angle brackets', '<'.repeat(16_000)],
    ['backslashes', `</a>; a="${'\\'.repeat(16_000)}`],
  ])('takes linear time on 16 KiB of %s', (_, field) => {
    expect(cpuMs(() => expect(findLink(field, 'status')).toBeUndefined())).toBeLessThan(200)
  })
})

describe('statusReference', () => {
  const reference = (headers: Record<string, string>, document?: object) =>
    statusReference(
      new Response(null, { status: 202, headers }),
      document && { id: '1', status: 'running', ...document },
    )

  it('prefers the Link, then Operation-Location, then Location, then the document', () => {
    const location = { location: '/users/1' }
    const monitor = { ...location, 'operation-location': '/monitor/1' }
    expect(reference({ ...monitor, link: '</operations/1>; rel=status' })).toBe('/operations/1')
    expect(reference({ ...monitor, link: '</docs>; rel=help' })).toBe('/monitor/1')
    expect(reference(location, { links: { self: '/operations/1' } })).toBe('/users/1')
    expect(reference({}, { links: { self: '/operations/1' } })).toBe('/operations/1')
  })

  it('finds nothing where nothing is named', () => {
    expect(reference({})).toBeUndefined()
    expect(reference({}, { links: { self: 7 } })).toBeUndefined()
    expect(reference({}, { links: null })).toBeUndefined()
  })
})

describe('retryAfterMs', () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(1994, 10, 6, 8, 49, 30) }))
  afterEach(() => vi.useRealTimers())
  const wait = (value: string, date?: string) =>
    retryAfterMs(new Response(null, { headers: { 'retry-after': value, ...(date ? { date } : {}) } }))

  it.each([
    ['0', 0],
    ['120', 120_000],
    ['Sun, 06 Nov 1994 08:49:37 GMT', 7000],
    ['Sunday, 06-Nov-94 08:49:37 GMT', 7000],
    ['Sun Nov  6 08:49:37 1994', 7000],
    ['Sun, 06 Nov 1994 08:00:00 GMT', 0],
    ['99999999999999999999', 86_400_000],
    ['Sun, 06 Nov 2094 08:49:37 GMT', 86_400_000],
    ['1.5', undefined],
    ['-1', undefined],
    ['soon', undefined],
    ['never, ever', undefined],
    ['', undefined],
  ])('reads %j as %s ms', (value, ms) => {
    expect(wait(value)).toBe(ms)
  })

  it('counts a date from the clock of the server', () => {
    expect(wait('Sun, 06 Nov 1994 08:49:37 GMT', 'Sun, 06 Nov 1994 08:49:35 GMT')).toBe(2000)
  })

  it('is undefined without the header', () => {
    expect(retryAfterMs(new Response())).toBeUndefined()
  })
})

describe('readProblem', () => {
  it('G06 leaves out standard members of a wrong type', async () => {
    const members = { type: 1, title: ['x'], status: '404', detail: null, instance: {}, outcome: 'perhaps' }
    expect(await readProblem(problem(404, members))).toEqual({ type: 'about:blank' })
  })

  it('G06 keeps standard members of the right type', async () => {
    const members = { type: 'urn:x', title: 't', status: 503, detail: 'd', instance: '/o/1', outcome: 'failed' }
    expect(await readProblem(problem(503, members))).toEqual(members)
  })

  it('G07 keeps members it does not know, whatever their names', async () => {
    const body = '{"status":409,"balance":30,"constructor":1,"__proto__":{"title":"x"}}'
    const response = new Response(body, { headers: { 'content-type': 'Application/Problem+JSON; charset=utf-8' } })
    const found = await readProblem(response)
    expect(found).toMatchObject({ type: 'about:blank', status: 409, balance: 30 })
    expect(Object.keys(found ?? {})).toContain('constructor')
    expect(found?.title).toBeUndefined()
  })

  it('leaves the body readable', async () => {
    const response = problem(409, { title: 'taken' })
    await readProblem(response)
    expect(await response.json()).toEqual({ status: 409, title: 'taken' })
  })

  it.each([
    ['another media type', json(404, { status: 404 })],
    ['no media type', new Response(new Uint8Array([123, 125]))],
    ['a body that is no JSON', new Response('{', { headers: { 'content-type': 'application/problem+json' } })],
    ['a body that is no object', new Response('[]', { headers: { 'content-type': 'application/problem+json' } })],
    ['no body', new Response(null, { headers: { 'content-type': 'application/problem+json' } })],
  ])('is undefined for %s', async (_, response) => {
    expect(await readProblem(response)).toBeUndefined()
  })

  it('is undefined once the body was read', async () => {
    const response = problem(404)
    await response.text()
    expect(await readProblem(response)).toBeUndefined()
  })
})

describe('readOperation', () => {
  it('reads a status document and keeps what it does not know', async () => {
    const document = { id: '01J', status: 'succeeded', links: { result: '/users/1' }, progress: { done: 3 } }
    expect(await readOperation(json(200, document))).toEqual(document)
  })

  it.each([
    ['another word as status', { id: '1', status: 'active' }],
    ['no id', { status: 'running' }],
    ['a list', [{ id: '1', status: 'running' }]],
    ['null', null],
  ])('is undefined for %s', async (_, body) => {
    expect(await readOperation(json(200, body))).toBeUndefined()
  })
})

it('isAccepted is true for a 202 only', () => {
  expect(isAccepted(accepted())).toBe(true)
  expect(isAccepted(new Response())).toBe(false)
})
