import { describe, expect, it } from 'vitest'
import type { Event } from '../../../src/core/event.js'
import { toEvent, toMessage } from '../../../src/core/event.js'
import type { Operation } from '../../../src/core/operation.js'
import { created, noContent, ok, problem, seeOther } from '../../../src/http/outcomes.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'

const event = toEvent(toMessage({ type: 'Made', source: 'worker', data: { id: 'a' } }, createFakeClock())) as Event<
  string,
  { id: string }
>
const operation = { id: 'op' } as Operation
const headers = ({ data }: typeof event) => ({ etag: `"${data.id}"` })
const etag = { etag: '"a"' }

describe('outcomes', () => {
  it.each([
    ['created', created<typeof event>(), { status: 201, location: undefined }],
    [
      'created, somewhere',
      created<typeof event>(({ data }, { id }) => `/x/${data.id}/${id}`, { headers }),
      { status: 201, location: '/x/a/op', headers: etag },
    ],
    [
      'created, with a body',
      created<typeof event>(() => '/x', { body: ({ data }) => data.id }),
      { status: 201, location: '/x', body: 'a' },
    ],
    ['ok', ok<typeof event>(), { status: 200 }],
    [
      'ok, with headers and a body',
      ok<typeof event>({ headers, body: () => [1] }),
      { status: 200, headers: etag, body: [1] },
    ],
    ['ok, with an empty body', ok<typeof event>({ body: () => undefined }), { status: 200, body: null }],
    ['noContent', noContent<typeof event>(), { status: 204 }],
    ['noContent, with headers', noContent<typeof event>({ headers }), { status: 204, headers: etag }],
    [
      'seeOther',
      seeOther<typeof event>(({ data }, { id }) => `/x/${data.id}/${id}`, { headers }),
      { status: 303, location: '/x/a/op', headers: etag },
    ],
  ])('%s is a success', (_, outcome, answer) => {
    expect(outcome.state).toBe('succeeded')
    expect(outcome.answer?.(event, operation)).toEqual({ headers: undefined, ...answer })
  })

  it.each([
    ['by its status', problem<typeof event>(409), { status: 409 }],
    [
      'by its members',
      problem<typeof event>({ status: 422, title: 'No', data: null }),
      { status: 422, title: 'No', data: null },
    ],
    [
      'by a function that gives a status',
      problem<typeof event>(({ data }) => (data.id === 'a' ? 410 : 500)),
      { status: 410 },
    ],
    [
      'by a function that gives members',
      problem<typeof event>(({ data }) => ({ status: 400, detail: data.id })),
      { status: 400, detail: 'a' },
    ],
  ])('a problem is a failure, given %s', (_, outcome, init) => {
    expect(outcome.state).toBe('failed')
    expect(outcome.answer?.(event, operation)).toEqual({ status: init.status, headers: undefined, problem: init })
  })

  it.each<[string, () => unknown, RegExp]>([
    ["created('/x')", () => created('/x' as never), /the location of created\(\) is "\/x"; allowed is a function/],
    [
      'created, with its options first',
      () => created({ body: () => 1 } as never),
      /location of created\(\) is an object/,
    ],
    ['seeOther()', () => seeOther(...([] as never as [() => string])), /location of seeOther\(\) is undefined/],
    ["seeOther('/x')", () => seeOther('/x' as never), /the location of seeOther\(\) is "\/x"; allowed is a function/],
    ["ok('x')", () => ok('x' as never), /the options of ok\(\) is "x"; allowed is an object/],
    ['a body that is no function', () => ok({ body: 5 as never }), /body of ok\(\) is 5; allowed is a function/],
    ['headers that are no function', () => created(undefined, { headers: 5 as never }), /headers of created\(\) is 5/],
    ['a misspelt option', () => ok({ bdy: () => 1 } as never), /ok\(\) has no option "bdy"; there are: body, headers/],
    ['a misspelt option behind', () => seeOther(() => '/x', { bdy: 1 } as never), /seeOther\(\) has no option "bdy"/],
    ['noContent with a body', () => noContent({ body: () => 1 } as never), /noContent\(\) has no option "body"/],
    ['a misspelt member', () => problem({ status: 409, detial: 'x' } as never), /problem\(\) has no option "detial"/],
    ['a problem with a body', () => problem(409, { body: () => 1 } as never), /problem\(\) has no option "body"/],
    ['a problem that is null', () => problem(null as never), /problem\(\) is null; allowed is an object/],
  ])('%s is refused when it is made', (_, make, message) => {
    expect(make).toThrow(expect.objectContaining({ code: 'ERR_CONFIG', message: expect.stringMatching(message) }))
  })

  it('a problem may have headers', () => {
    expect(problem<typeof event>(409, { headers }).answer?.(event, operation)).toMatchObject({ headers: etag })
  })
})
