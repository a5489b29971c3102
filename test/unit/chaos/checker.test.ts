import { describe, expect, it } from 'vitest'
import { violationsOf } from '../../chaos/checker.js'
import { type Entry, toHistory } from '../../chaos/history.js'
import {
  attempt,
  broken,
  FAULT_AT,
  fault,
  HEALED_AT,
  known,
  LIMITS,
  look,
  promise,
  refusal,
  silent,
  stall,
  unconfirmed,
} from './histories.js'

const PLANTED: Readonly<Record<string, readonly (readonly [what: string, ...entries: Entry[]])[]>> = {
  'nothing accepted is lost': [
    ['a promise that nobody kept', promise(7)],
    ['one that was running when last seen', promise(7), look(7, { seen: 'running', story: undefined })],
    ['one that is gone', promise(7), look(7, { seen: 'gone', story: undefined })],
    ['one that ended without its worker', promise(7), look(7, { story: '503 expired' })],
  ],
  'the first end stands for every reader': [
    ['two results', attempt(7), look(7, { story: '201 by another' })],
    ['an answer and a look that differ', promise(7), look(7), look(7, { from: 60_000, story: '409 by 7' })],
    [
      'an end that is taken back',
      attempt(7),
      look(7, { seen: 'running', story: undefined }),
      look(7, { from: 60_000 }),
    ],
    ['an end that is forgotten', attempt(7), look(7, { seen: 'gone', story: undefined }), look(7, { from: 60_000 })],
  ],
  'one key is one operation': [
    ['two answers', attempt(7), attempt(7, { id: 'other', story: '201 by other' })],
    ['an execution that no answer names', attempt(7), { kind: 'execution', id: 'other', n: 7, at: 0 }],
  ],
  'what was refused is not carried out': [
    ['a refusal that was a lie', refusal(7), { kind: 'execution', id: 'op-7', n: 7, at: 0 }],
    ['two of them', refusal(7), refusal(7), { kind: 'execution', id: 'op-7', n: 7, at: 0 }],
  ],
  'every request is answered in time': [
    ['an answer that came too late', attempt(7, { from: 700, to: 700 + 2251 })],
    ['one that never came', attempt(7, { status: undefined, error: 'TIMEOUT', id: undefined, story: undefined })],
    [
      'one for whose time a stall of another gateway is no excuse',
      attempt(7, { from: 700, to: 3200 }),
      stall(1, 700, 3200),
    ],
    [
      'one for whose time two stalls at once are half an excuse',
      attempt(7, { from: 700, to: 3400 }),
      stall(0, 700, 1000),
      { kind: 'stall', who: 'harness', from: 700, to: 1000 },
    ],
    ['one that a short stall does not excuse', attempt(7, { from: 700, to: 3200 }), stall(0, 700, 900)],
  ],
  'every answer is foreseen': [['an internal error', refusal(7, { status: 500, outcome: undefined })]],
  'a part that refuses is a 503 at once': [
    ['a slow one', fault(), refusal(7, { from: FAULT_AT + 300, to: FAULT_AT + 600 })],
    ['a promise', fault(), promise(7, { from: FAULT_AT + 300 }), look(7, { from: HEALED_AT })],
    ['without a store', fault({ part: 'store' }), refusal(7, { from: FAULT_AT + 300, to: FAULT_AT + 600 })],
  ],
  'a silent store is a 503 in time': [
    ['a slow one', silent('store'), refusal(7, { from: FAULT_AT, to: FAULT_AT + 1300 })],
    ['a promise', silent('store'), promise(7, { from: FAULT_AT }), look(7, { from: HEALED_AT })],
  ],
  'a silent broker is a 202 or 503 in time': [
    ['a slow one', silent('broker'), ...unconfirmed(7, { from: FAULT_AT, to: FAULT_AT + 1300 })],
  ],
  'what is known to be down is refused at once': [
    [
      'more slow answers than calls that find out',
      known('store', true, FAULT_AT),
      known('store', false, FAULT_AT + 2000),
      ...[0, 1, 2, 3].map((n) => refusal(20 + n, { from: FAULT_AT + 300 + n, to: FAULT_AT + 600 + n })),
    ],
  ],
  'a healed part is of use within its time': [
    ['no success in time', fault({ from: 20_000, to: 29_000, healedAt: 30_000 }), attempt(7, { from: 35_001 })],
    ['only promises', fault({ from: 20_000, to: 29_000, healedAt: 30_000 }), promise(7, { from: 30_100 }), look(7)],
  ],
  'all gateways are well at the end': [
    ['refusals at the end', ...[0, 1, 2].map((n) => refusal(2000 + n, { from: HEALED_AT + 1000 + n }))],
    ['a broken connection', refusal(2000, { from: HEALED_AT + 1000, status: undefined, error: 'ECONNREFUSED' })],
  ],
}

describe('the checker of runs under faults', () => {
  for (const [rule, cases] of Object.entries(PLANTED)) {
    it.each([...cases])(`finds against "${rule}": %s`, (_what, ...entries) => {
      expect(broken(...(entries as Entry[]))).toEqual([rule])
    })
  }

  it('finds gateways that got no requests at all', () => {
    expect(violationsOf(toHistory([]), LIMITS).map(({ rule }) => rule)).toEqual(['all gateways are well at the end'])
  })

  it.each<[string, ...Entry[]]>([
    ['nothing but successes'],
    ['a promise that was kept', promise(7), look(7, { seen: 'running', from: 800, story: undefined }), look(7)],
    ['a duplicate that joined', attempt(7), attempt(7)],
    [
      'a retry that joined after a broken connection',
      refusal(7, { status: undefined, error: 'ECONNRESET' }),
      attempt(7),
    ],
    ['a refusal, and then a success', refusal(7), attempt(7), { kind: 'execution', id: 'op-7', n: 7, at: 0 }],
    ['a look of a gateway that could not say', attempt(7), look(7, { seen: 'unseen', story: undefined })],
    ['a look that began before the end', attempt(7), look(7, { from: 710, seen: 'running', story: undefined })],
    ['a late answer of a gateway that was frozen', attempt(7, { from: 700, to: 4000 }), stall(0, 690, 3900)],
    [
      'a late answer that the harness took in late',
      attempt(7, { from: 700, to: 4000 }),
      { kind: 'stall', who: 'harness', from: 690, to: 3900 },
    ],
    ['quick refusals', fault(), refusal(7, { from: FAULT_AT + 300 })],
    ['an answer under way when the broker went', fault(), attempt(7, { from: FAULT_AT - 100, to: FAULT_AT + 1000 })],
    [
      'answers while two things were broken',
      fault(),
      fault({ part: 'gateway', manner: 'silent' }),
      attempt(7, { from: FAULT_AT + 300 }),
    ],
    ['refusals of a silent store in time', silent('store'), refusal(7, { from: FAULT_AT, to: FAULT_AT + 1200 })],
    [
      'promises of a silent broker in time',
      silent('broker'),
      ...unconfirmed(7, { from: FAULT_AT, to: FAULT_AT + 1200 }),
    ],
    [
      'a key that comes again, at another gateway, and waits for what the first try has begun',
      silent('broker'),
      ...unconfirmed(7, { from: FAULT_AT, to: FAULT_AT + 1010 }),
      promise(7, { from: FAULT_AT, to: FAULT_AT + 2010, gateway: 1 }),
    ],
    [
      'a key that comes again while the broker is away',
      fault(),
      promise(7, { from: FAULT_AT - 100 }),
      promise(7, { from: FAULT_AT + 1000, to: FAULT_AT + 3000 }),
      look(7, { from: HEALED_AT }),
    ],
    [
      'a gateway that ended itself before it had a success',
      fault({ from: 20_000, to: 29_000, healedAt: 30_000 }),
      { kind: 'down', gateway: 0, at: 31_000 },
      { kind: 'up', gateway: 0, at: 36_000 },
      attempt(7, { from: 40_000 }),
    ],
    [
      'slow answers of a gateway whose predecessor was killed while it knew the broker down',
      known('broker', true, 20_000),
      { kind: 'down', gateway: 0, at: 21_000 },
      { kind: 'up', gateway: 0, at: 24_000 },
      ...Array.from({ length: 70 }, (_, n) => attempt(250 + n, { from: 25_000 + n, to: 25_900 + n })),
      known('broker', false, 40_000),
    ],
  ])('finds nothing against: %s', (_what, ...entries) => {
    expect(broken(...(entries as Entry[]))).toEqual([])
  })
})
