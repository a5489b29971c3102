import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../contract.js'
import { type BackEnd, type HttpCase, httpCase, SILENT, user } from './world.js'

/** A title, the value or lines of `Prefer`, and what is applied: the answer is 202 with `respond-async`, else 201. */
type Row = readonly [title: string, prefer: string | readonly string[], applied: string | null]

const ROWS: readonly Row[] = [
  ['A01 names have no case', 'Respond-Async', 'respond-async'],
  ['A03 values have a case', 'return=Minimal', null],
  ['A04 a quoted value is the same value', 'wait="10"', 'wait=10'],
  ['A05 a quoted-pair is the character behind the backslash', 'wait="\\1\\0"', 'wait=10'],
  ['A05 an escaped quote does not end a string', 'foo="a\\", respond-async"', null],
  ['A06 an empty value is none', 'respond-async=""', 'respond-async'],
  ['A06 an empty wait is none', 'wait=""', null],
  ['A07 A28 several lines are one list', ['foo', 'respond-async', 'bar=1'], 'respond-async'],
  ['A08 order has no meaning', 'wait=0, respond-async', 'respond-async, wait=0'],
  ['A09 the first of two counts', 'wait=5, Wait=10', 'wait=5'],
  ['A10 the first counts even when it is unusable', 'wait=abc, wait=10', null],
  ['A11 an unknown preference is ignored', 'priority=5', null],
  ['A12 a known preference with an unknown value is ignored', 'return=headers-only', null],
  ['A13 parameters may be empty', 'respond-async ; ; foo=1', 'respond-async'],
  ['A14 a parameter is no preference', 'foo; respond-async', null],
  ['A15 space around the equals sign is removed', 'wait\t= 10', 'wait=10'],
  ['A16 empty members are skipped', ',wait=5,, ,', 'wait=5'],
  ['A17 a comma in quotes does not split', 'foo="a, respond-async; b"', null],
  ['A18 a malformed member is dropped alone', '=5, wait=3', 'wait=3'],
  ['A18 two words are no preference', 'respond async', null],
  ['A19 an unterminated quote drops the rest', 'foo="abc, respond-async', null],
  ['A20 any token character is allowed in a name', "!#$%&'*+-.^_`|~9=1, wait=2", 'wait=2'],
  ['A21 a string may hold latin1', 'foo="é", respond-async', 'respond-async'],
  ['A22 names of object members are plain names', 'constructor, __proto__=x, wait=4', 'wait=4'],
  ['A24 a value is no name', 'Lenient', null],
  ['B01 B11 respond-async is honoured and said so', 'respond-async', 'respond-async'],
  ['B05 wait=0 does not wait', 'respond-async, wait=0', 'respond-async, wait=0'],
  ['B07 a wait is digits alone', 'wait=1.5, respond-async', 'respond-async'],
  ['B07 FM-E7 a negative wait is none', 'wait=-1', null],
  ['B07 leading zeros are digits', 'wait=010', 'wait=10'],
  ['B08 FM-E6 a wait beyond all numbers is the greatest', 'wait=99999999999999999999999', 'wait=25'],
  ['B12 parameters are not repeated', 'return=representation; foo=1', 'return=representation'],
  ['B13 respond-async that was not needed is not applied', 'respond-async, wait=1', 'wait=1'],
  ['B14 FM-E5 the wait that is used is reported', 'wait=3600', 'wait=25'],
  ['B21 the first of two returns counts', 'return=representation, return=minimal', 'return=representation'],
]

// Slow enough for a 202 that is due to come first.
const slow: BackEnd = async () => [await sleep(15, { data: { id: 'ann' } })]

const headerCases = ROWS.map(([title, prefer, applied]) => {
  const status = applied?.startsWith('respond-async') ? 202 : 201
  const expected = { status, headers: { 'preference-applied': applied, vary: /\bPrefer\b/ } }
  return httpCase(title, { backEnd: slow, expected }, ({ post }) => post({ prefer }))
})

const HEAD = 'POST /users HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n'

/** Sections A and B of the contract: what a client prefers. */
export const preferCases: readonly HttpCase[] = [
  ...headerCases,
  httpCase('A23 FM-H22 16 KiB of Prefer do no harm', {}, async ({ client }) => {
    const received = await client.raw([`${HEAD}Prefer: ${'a,'.repeat(7500)}\r\n\r\n{}`])
    assert.match(received, /^HTTP\/1\.1 201 /)
  }),
  httpCase(
    'A29 B22 the input of a command sees all preferences',
    {
      command: { input: ({ preferences: { handling, all } }) => ({ username: `${handling} ${all.get('x')?.params.get('y')}` }) },
      expected: { status: 201, body: { id: 'strict 1, 2' } },
    },
    ({ post }) => post({ prefer: 'handling=strict, x; y="1, 2"' }),
  ),
  httpCase(
    'B02 B06 an instant result needs no 202 where the command allows a grace',
    { command: { asyncGraceMs: 1000 }, expected: { status: 201, headers: { 'preference-applied': null } } },
    ({ post }) => post({ prefer: 'respond-async' }),
  ),
  httpCase(
    'B03 B04 a result later than the wait gives 202',
    { options: { maxWaitMs: 30 }, backEnd: SILENT, expected: { status: 202, headers: { 'preference-applied': 'wait=0' } } },
    ({ post }) => post({ prefer: 'wait=3600' }),
  ),
  httpCase(
    'B09 FM-H21 who comes when as many wait as may is answered 202 at once',
    { options: { maxPending: 1 }, backEnd: SILENT, expected: { status: 202 } },
    async ({ client, gateway, post }) => {
      const first = client.start(user())
      await until(() => gateway.counters.pending === 1)
      const second = await post()
      first.abort()
      return second
    },
  ),
  httpCase('B10 the wait begins when the request is complete', { options: { waitMs: 40 }, backEnd: slow }, async (world) => {
    const received = await world.client.raw([`${HEAD}\r\n{`, '}'], { pauseMs: 50 })
    assert.match(received, /^HTTP\/1\.1 201 /)
  }),
  httpCase(
    'B17 Vary of the application is kept',
    { headers: { vary: 'Origin' }, expected: { headers: { vary: /^(Origin, Prefer|Prefer, Origin)$/ } } },
    ({ post }) => post(),
  ),
  httpCase(
    'B18 return=minimal leaves a 201 its Location alone',
    { expected: { status: 201, headers: { location: '/users/ann', 'preference-applied': 'return=minimal' }, body: '' } },
    ({ post }) => post({ prefer: 'return=minimal' }),
  ),
  httpCase(
    'B20 C14 return=minimal leaves a 202 its document',
    { backEnd: SILENT, expected: { status: 202, headers: { 'content-type': /json/ }, body: { status: 'running' } } },
    ({ post }) => post({ prefer: 'return=minimal, respond-async' }),
  ),
  httpCase(
    'B20 return=minimal leaves a problem its document',
    {
      backEnd: async () => [{ type: 'CreateUser::UserNotCreated', data: {} }],
      expected: { status: 409, headers: { 'preference-applied': null }, body: { status: 409 } },
    },
    ({ post }) => post({ prefer: 'return=minimal' }),
  ),
  httpCase(
    'B25 a wait at the operation lasts until its end',
    { backEnd: SILENT, expected: { status: 303 } },
    async ({ client, defer, answer, gateway }) => {
      const url = await defer()
      const poll = client.start({ path: url, headers: { prefer: 'wait=20' } })
      await until(() => gateway.counters.pending === 1)
      await answer(url, { data: { id: 'ann' } })
      return poll.answer
    },
  ),
  httpCase(
    'B26 a wait with an entity tag lasts until any change',
    { backEnd: SILENT, expected: { status: 202, body: { status: 'running', progress: { percent: 50 } } } },
    async ({ client, defer, answer, gateway, get }) => {
      const url = await defer()
      const etag = String((await get(url)).headers.etag)
      const poll = client.start({ path: url, headers: { prefer: 'wait=20', 'if-none-match': etag } })
      await until(() => gateway.counters.pending === 1)
      await answer(url, { type: 'CreateUser::Requested::Progress', data: { percent: 50 } })
      return poll.answer
    },
  ),
  httpCase(
    'B26 E04 a wait with an entity tag ends in 304 when nothing changes',
    {
      options: { maxWaitMs: 30 },
      backEnd: SILENT,
      expected: { status: 304, headers: { 'retry-after': '1', 'cache-control': 'private, no-cache', vary: /Prefer/ }, body: '' },
    },
    async ({ defer, get }) => {
      const url = await defer()
      const { etag } = (await get(url)).headers
      return get(url, { prefer: 'wait=20', 'if-none-match': String(etag) })
    },
  ),
]
