import { describe, expect, it } from 'vitest'
import type { Entry, FaultSpan, Try } from '../../chaos/history.js'
import {
  attempt,
  broken,
  FAULT_AT,
  fault,
  HEALED_AT,
  known,
  look,
  promise,
  refusal,
  silent,
  stall,
  unconfirmed,
} from './histories.js'

/** Refused for the sake of a part. */
function without(part: 'broker' | 'store', n: number, given: Partial<Try> = {}): Try {
  return refusal(n, { code: part === 'broker' ? 'ERR_TRANSPORT_UNAVAILABLE' : 'ERR_STORE_UNAVAILABLE', ...given })
}

/** A fault long before the one at `FAULT_AT`, with a success behind it. */
function earlier(): Entry[] {
  const times = { begunAt: 20_000, from: 20_000, to: 29_000, healedAt: 30_000 }
  return [fault(times), attempt(900, { from: 30_200 })]
}

/** Each message takes 100 ms longer. */
function late(): FaultSpan {
  return fault({ manner: 'late' })
}

/** Every request for a second. */
function all(given: (n: number) => Try): Entry[] {
  return Array.from({ length: 10 }, (_, n) => given(50 + n))
}

const PLANTED: Readonly<Record<string, readonly (readonly [what: string, ...entries: Entry[]])[]>> = {
  'a 503 has its reason': [
    ['one for the broker, which is well', without('broker', 7)],
    ['one for the store, which is well', without('store', 7)],
    ['one for a publish that was refused by nobody', without('broker', 7, { code: 'ERR_PUBLISH_REJECTED' })],
    ['one for the broker while the store was away', fault({ part: 'store' }), without('broker', 7, { from: FAULT_AT })],
    ['one for a broker that has long been back', ...earlier(), without('broker', 7, { from: 35_100 })],
    [
      'one that another gateway had reason for',
      { ...known('broker', true, 600), gateway: 1 } as Entry,
      without('broker', 7),
    ],
    [
      'one for what the gateway knew before it was killed',
      known('broker', true, 300),
      { kind: 'down', gateway: 0, at: 400 },
      { kind: 'up', gateway: 0, at: 500 },
      without('broker', 7),
    ],
    [
      'one for what the gateway knew before it was back',
      known('broker', true, 300),
      known('broker', false, 600),
      without('broker', 7),
    ],
    ['one for a store that had less than its time', without('store', 7, { outcome: 'unknown', from: 700, to: 1600 })],
    ['one of a gateway that says it is closing, and is not', refusal(7, { code: 'ERR_CLOSED' })],
    ['one that gives no reason', refusal(7, { code: undefined })],
    [
      'all of them, on a line that is only slow',
      fault({ manner: 'slow' }),
      ...all((n) => without('broker', n, { from: FAULT_AT + n })),
    ],
  ],
  'silence leaves the matter open until it is known': [
    [
      'refusals that an earlier fault would explain',
      fault({ begunAt: FAULT_AT - 3000, from: FAULT_AT - 3000, to: FAULT_AT - 2000, healedAt: FAULT_AT - 1000 }),
      attempt(900, { from: FAULT_AT - 900 }),
      silent('broker'),
      ...all((n) => without('broker', n, { from: FAULT_AT + n })),
    ],
    [
      'a promise that says it is confirmed',
      silent('broker'),
      ...unconfirmed(7, { from: FAULT_AT, because: 'preference' }),
    ],
    ['one that does not say', silent('broker'), ...unconfirmed(7, { from: FAULT_AT, because: undefined })],
  ],
  'silence is known when its time is up': [
    ['a breaker that opens at once', silent('broker'), known('broker', true, FAULT_AT + 100)],
    ['that of the store', silent('store'), known('store', true, FAULT_AT + 490)],
  ],
  'what is late is not out of reach': [
    ['a breaker that opens', late(), known('broker', true, FAULT_AT + 2000)],
    [
      'a store that is given up',
      late(),
      without('store', 7, { outcome: 'unknown', from: FAULT_AT, to: FAULT_AT + 1010 }),
    ],
    [
      'all refused by a gateway that knew it before',
      known('broker', true, FAULT_AT - 500),
      late(),
      ...all((n) => without('broker', n, { from: FAULT_AT + n })),
    ],
  ],
}

describe('the checker, of those who were refused', () => {
  for (const [rule, cases] of Object.entries(PLANTED)) {
    it.each([...cases])(`finds against "${rule}": %s`, (_what, ...entries) => {
      expect(broken(...(entries as Entry[]))).toEqual([rule])
    })
  }

  it('finds immediate refusals of a silent broker against both', () => {
    expect(broken(silent('broker'), ...all((n) => without('broker', n, { from: FAULT_AT + n })))).toEqual([
      'a 503 has its reason',
      'silence leaves the matter open until it is known',
    ])
  })

  it('finds refusals of a broker that is only late against both', () => {
    expect(broken(late(), ...all((n) => without('broker', n, { from: FAULT_AT + n })))).toEqual([
      'a 503 has its reason',
      'what is late is not out of reach',
    ])
  })

  it.each<[string, ...Entry[]]>([
    [
      'refusals of a broker whose silence is known by then',
      silent('broker'),
      ...unconfirmed(7, { from: FAULT_AT, to: FAULT_AT + 1010 }),
      known('broker', true, FAULT_AT + 1010),
      without('broker', 8, { from: FAULT_AT + 1020 }),
      known('broker', false, HEALED_AT),
    ],
    ['results under silence', silent('broker'), attempt(7, { from: FAULT_AT })],
    [
      'promises under silence that a limit gives',
      silent('broker'),
      ...unconfirmed(7, { because: 'overload', from: FAULT_AT }),
    ],
    [
      'a broker that is blocked, and says so at once',
      fault({ manner: 'blocked' }),
      known('broker', true, FAULT_AT + 5),
      without('broker', 7, { from: FAULT_AT + 10 }),
      known('broker', false, HEALED_AT),
    ],
    ['a store that had its time', without('store', 7, { outcome: 'unknown', from: 700, to: 1700 })],
    ['a call that was refused before anybody knew', fault(), without('broker', 7, { from: FAULT_AT - 10 })],
    ['a connection that was not yet there again', ...earlier(), without('broker', 7, { from: 30_300 })],
    ['results that are late', late(), attempt(7, { from: FAULT_AT, to: FAULT_AT + 700 })],
    ['a limit, while all is late', late(), refusal(7, { from: FAULT_AT })],
    [
      'a gateway that took a late store for lost as it stood still',
      late(),
      stall(0, FAULT_AT + 500, FAULT_AT + 1700),
      known('store', true, FAULT_AT + 1700),
      without('store', 7, { outcome: 'unknown', from: FAULT_AT + 600, to: FAULT_AT + 1710 }),
      known('store', false, FAULT_AT + 1800),
    ],
    [
      'a gateway that is closing',
      { kind: 'down', gateway: 0, at: 20_000 },
      refusal(7, { code: 'ERR_CLOSED', from: 20_010 }),
      { kind: 'up', gateway: 0, at: 24_000 },
    ],
    [
      'a promise with a wait behind the silence',
      silent('broker'),
      promise(7, { from: HEALED_AT - 900, to: HEALED_AT + 10, because: 'timeout' }),
      look(7, { from: HEALED_AT + 500 }),
    ],
  ])('finds nothing against: %s', (_what, ...entries) => {
    expect(broken(...(entries as Entry[]))).toEqual([])
  })
})
