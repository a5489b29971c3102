import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../contract.js'
import { check, type Given, type HttpCase, NOT_CREATED, PENDING } from './world.js'

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
  ['A11 B15 an unknown preference is ignored', 'priority=5', null],
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
  ['B12 B19 parameters are not repeated', 'return=representation; foo=1', 'return=representation'],
  ['B13 respond-async that was not needed is not applied', 'respond-async, wait=1', 'wait=1'],
  ['B14 FM-E5 the wait that is used is reported', 'wait=3600', 'wait=25'],
  ['B21 the first of two returns counts', 'return=representation, return=minimal', 'return=representation'],
]

/** Answers late enough for a 202 that should not be sent to come first. */
const SLOW: Given = { backEnd: async () => [await sleep(15, { data: { id: 'ann' } })] }
const SHORT: Given = { ...PENDING, options: { maxWaitMs: 30 } }
/** Without respond-async, what is late is 504. */
const IMPATIENT: Given = { ...SHORT, command: { onTimeout: 'gateway-timeout' } }
const FULL: Given = { ...PENDING, options: { maxPending: 0 } }
const ALONE: Given = { ...PENDING, options: { maxPending: 1 } }
const FAILING: Given = { backEnd: async () => [{ type: NOT_CREATED, data: {} }] }
const SHOWING: Given = { command: { input: ({ preferences }) => ({ username: [...preferences.all.keys()].join() }) } }

const HEAD =
  'POST /users HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n'
const PROGRESS = { type: 'CreateUser::Requested::Progress', data: { percent: 50 } }

/** Sections A and B of the contract: what a client prefers. */
export const preferCases: readonly HttpCase[] = [
  ...ROWS.map(([title, prefer, applied]) => {
    const isAsync = applied?.startsWith('respond-async')
    const headers = { 'preference-applied': applied, vary: 'Prefer' }
    return check(title, isAsync ? PENDING : SLOW, ({ post }) => post({ prefer }).is(isAsync ? 202 : 201, headers))
  }),
  check('A23 FM-H22 16 KiB of Prefer do no harm', {}, async ({ raw }) => {
    assert.match(await raw([`${HEAD}Prefer: ${'a,'.repeat(7500)}\r\n\r\n{}`]), /^HTTP\/1\.1 201 /)
  }),
  check('A29 B22 the input of a command sees all preferences', SHOWING, ({ post }) =>
    post({ prefer: 'handling=strict, x; y="1, 2"' }).is(201, {}, { id: 'handling,x' }),
  ),
  check('B02 B06 a command may allow an instant result a grace', { command: { asyncGraceMs: 1000 } }, ({ post }) =>
    post({ prefer: 'respond-async' }).is(201, { 'preference-applied': null }),
  ),
  check('B03 respond-async with a wait is synchronous in time', SLOW, async ({ post }) => {
    const headers = { location: '/users/ann', 'preference-applied': 'wait=20' }
    for (const prefer of ['respond-async, wait=20', 'wait=20, respond-async']) await post({ prefer }).is(201, headers)
  }),
  check('B03 respond-async with a wait is 202 when the result is late', IMPATIENT, async ({ post, answer, get }) => {
    await post({ prefer: 'wait=20' }).is(504)
    const accepted = await post({ prefer: 'respond-async, wait=20' }).is(202)
    assert.equal(accepted.headers['preference-applied'], 'respond-async, wait=0')
    await answer(String(accepted.headers.location))
    await get(`${accepted.headers.location}/result`).is(201)
  }),
  check('B04 a result later than the wait gives 202', SHORT, ({ post }) =>
    post({ prefer: 'wait=3600' }).is(202, { 'preference-applied': 'wait=0' }),
  ),
  check('B09 FM-H21 one request too many to wait is 202 at once', ALONE, async ({ post, gateway }) => {
    const first = post()
    await until(() => gateway.counters.pending === 1)
    await post().is(202)
    first.abort()
  }),
  check('B13 a wait for which there was no room is not applied', FULL, async ({ post }) => {
    await post({ prefer: 'wait=20' }).is(202, { 'preference-applied': null })
    await post({ prefer: 'respond-async, wait=20' }).is(202, { 'preference-applied': 'respond-async' })
  }),
  check('B10 the wait begins when the request is complete', { ...SLOW, options: { waitMs: 100 } }, async ({ raw }) => {
    assert.match(await raw([`${HEAD}\r\n{`, '}'], { pauseMs: 110 }), /^HTTP\/1\.1 201 /)
  }),
  check('B17 Vary of the application is kept', { headers: { vary: 'Origin' } }, ({ post }) =>
    post().is(201, { vary: /^(Origin, Prefer|Prefer, Origin)$/ }),
  ),
  check('B18 return=minimal leaves a 201 its Location alone', {}, ({ post }) =>
    post({ prefer: 'return=minimal' }).is(201, { location: '/users/ann', 'preference-applied': 'return=minimal' }, ''),
  ),
  check('B20 C14 return=minimal leaves a 202 its document', PENDING, ({ post }) =>
    post({ prefer: 'return=minimal, respond-async' }).is(202, { 'content-type': /json/ }, { status: 'running' }),
  ),
  check('B20 return=minimal leaves a problem its document', FAILING, ({ post }) =>
    post({ prefer: 'return=minimal' }).refuses(409, NOT_CREATED, { 'preference-applied': null }),
  ),
  check('B25 a wait at the operation lasts until its end', PENDING, async ({ defer, get, answer, gateway }) => {
    const url = await defer()
    const poll = get(url, { prefer: 'wait=20' })
    await until(() => gateway.counters.pending === 1)
    await answer(url)
    await poll.is(303)
  }),
  check('B26 a wait with an entity tag lasts until any change', PENDING, async ({ defer, get, answer, gateway }) => {
    const url = await defer()
    const poll = get(url, { prefer: 'wait=20', 'if-none-match': '"1"' })
    await until(() => gateway.counters.pending === 1)
    await answer(url, PROGRESS)
    await poll.is(202, {}, { status: 'running', progress: PROGRESS.data })
  }),
  check('B26 E04 a wait without a change ends in 304', SHORT, async ({ defer, get }) => {
    const headers = { 'retry-after': '1', 'cache-control': 'private, no-cache', vary: /Prefer/, etag: '"1"' }
    await get(await defer(), { prefer: 'wait=20', 'if-none-match': '"1"' }).is(304, headers, '')
  }),
]
