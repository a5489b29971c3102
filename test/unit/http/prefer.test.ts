import { describe, expect, it } from 'vitest'
import {
  formatPrefer,
  formatPreferenceApplied,
  type Preference,
  parsePrefer,
  readPreferences,
} from '../../../src/http/prefer.js'
import { medianCpuMs } from '../cpu-time.js'

function plain(header: string | readonly string[] | undefined) {
  return [...parsePrefer(header)].map(([name, { value, params }]) => [name, value, Object.fromEntries(params)])
}

function isAsync(header: string): boolean {
  return readPreferences(header).respondAsync
}

function wait(header: string): number | undefined {
  return readPreferences(header).waitSeconds
}

describe('parsePrefer', () => {
  it('A01 preference names compare in any case', () => {
    expect(isAsync('Respond-Async')).toBe(true)
    expect(wait('WAIT=3')).toBe(3)
  })

  it('A02 parameter names compare in any case', () => {
    expect(plain('foo; BAR=1')).toEqual([['foo', '', { bar: '1' }]])
  })

  it('A03 values keep their case', () => {
    expect(readPreferences('return=Minimal').return).toBeUndefined()
    expect(readPreferences('return=minimal').return).toBe('minimal')
  })

  it('A04 a quoted value equals the bare one', () => {
    expect(readPreferences('return="minimal"').return).toBe('minimal')
    expect(wait('wait="10"')).toBe(10)
  })

  it('A05 a quoted pair stands for its second octet', () => {
    expect(wait('wait="\\1\\0"')).toBe(10)
    expect(plain('foo="a\\", respond-async"')).toEqual([['foo', 'a", respond-async', {}]])
    expect(plain('foo="\\\\"')).toEqual([['foo', '\\', {}]])
  })

  it.each(['foo; bar', 'foo; bar=""', 'foo=""; bar', 'foo="";bar=""'])(
    'A06 an empty value equals none: %s',
    (header) => {
      expect(plain(header)).toEqual([['foo', '', { bar: '' }]])
    },
  )

  it('A06 an empty value equals none for the known preferences', () => {
    expect(isAsync('respond-async=""')).toBe(true)
    expect(wait('wait=""')).toBeUndefined()
  })

  it('A07 several Prefer lines equal one comma-joined line', () => {
    const lines = ['respond-async, wait=100', 'handling=lenient']
    expect(plain(lines)).toEqual(plain(lines.join(', ')))
    expect(readPreferences(lines)).toMatchObject({ respondAsync: true, waitSeconds: 100, handling: 'lenient' })
    expect(plain([])).toEqual([])
  })

  it('A08 order has no meaning', () => {
    const [one, other] = ['wait=5, respond-async', 'respond-async, wait=5'].map((header) => readPreferences(header))
    expect({ ...one, all: undefined }).toEqual({ ...other, all: undefined })
  })

  it('A09 of a preference given twice the first counts', () => {
    expect(wait('wait=5, Wait=10')).toBe(5)
    expect(plain('foo; a=1; A=2')).toEqual([['foo', '', { a: '1' }]])
  })

  it('A10 the first instance counts even when it cannot be used', () => {
    expect(wait('wait=abc, wait=10')).toBeUndefined()
    expect(isAsync('respond-async=no, respond-async')).toBe(false)
  })

  it('A11 an unknown preference changes nothing', () => {
    const { all, ...known } = readPreferences('priority=5')
    expect(known).toEqual({ respondAsync: false })
    expect([...all.keys()]).toEqual(['priority'])
  })

  it.each(['return=headers-only', 'handling=harsh', 'wait=soon', 'respond-async=maybe'])(
    'A12 a known preference with a value without meaning is as good as absent: %s',
    (header) => {
      const { all, ...known } = readPreferences(header)
      expect(known).toEqual({ respondAsync: false })
      expect(all.size).toBe(1)
    },
  )

  it.each([
    'respond-async ; ; foo=1',
    'respond-async;',
    'respond-async;;',
    'respond-async;foo;',
    'respond-async\t;\tfoo',
  ])('A13 parameters may follow and be empty: %s', (header) => expect(isAsync(header)).toBe(true))

  it('A14 a parameter is no preference', () => {
    expect(isAsync('foo; respond-async')).toBe(false)
    expect(wait('foo; wait=5')).toBeUndefined()
  })

  it('A15 space and tabs around the equals sign are removed', () => {
    expect(wait('wait\t=\t 10')).toBe(10)
    expect(plain('foo;bar = "x"')).toEqual([['foo', '', { bar: 'x' }]])
  })

  it('A16 empty list members are skipped', () => {
    expect(plain(',respond-async,,wait=5 , ,')).toEqual([
      ['respond-async', '', {}],
      ['wait', '5', {}],
    ])
    expect(plain('')).toEqual([])
    expect(plain(' , \t,')).toEqual([])
  })

  it('A17 commas and semicolons inside quotes do not split', () => {
    expect(plain('foo="a, respond-async; b"')).toEqual([['foo', 'a, respond-async; b', {}]])
  })

  it.each([
    ['=5, wait=3', ['wait']],
    ['respond async', []],
    ['wait=, foo', ['foo']],
    ['foo=a b, bar', ['bar']],
    ['foo; =1, bar', ['bar']],
    ['foo; a=, bar', ['bar']],
    ['foo; a=1 b, bar', ['bar']],
    ['foo="a"b, bar', ['bar']],
    ['fo"o, x", bar', ['bar']],
    ['foo="a\u0001b", bar', ['bar']],
    ['foo; a="\u0001", bar', ['bar']],
    ['(foo), bar', ['bar']],
    ['é, bar', ['bar']],
  ])('A18 a malformed member is dropped and the rest kept: %j', (header, names) => {
    expect([...parsePrefer(header).keys()]).toEqual(names)
  })

  it.each([
    'bar, foo="abc, respond-async',
    'bar, foo="abc, respond-async\\',
    'bar, foo="\\"',
    'bar, f"oo, respond-async',
  ])('A19 an unterminated quote drops everything from its member on: %s', (header) =>
    expect([...parsePrefer(header).keys()]).toEqual(['bar']),
  )

  it('A20 any token character may stand in a name', () => {
    expect(plain("!#$%&'*+-.^_`|~9=1, wait=2")).toEqual([
      ["!#$%&'*+-.^_`|~9", '1', {}],
      ['wait', '2', {}],
    ])
  })

  it('A21 octets above 127 are legal inside quotes', () => {
    expect(isAsync('foo="\u00e9\u0080\u00ff", respond-async')).toBe(true)
  })

  it('A22 names of object members are plain unknown names', () => {
    const { waitSeconds, all } = readPreferences('constructor, __proto__=x, toString; __proto__=y, wait=4')
    expect(waitSeconds).toBe(4)
    expect(all.get('__proto__')?.value).toBe('x')
    expect(all.get('tostring')?.params.get('__proto__')).toBe('y')
    expect(Object.getPrototypeOf({})).toBe(Object.prototype)
  })

  const hostile = {
    members: 'a,'.repeat(8192),
    commas: ','.repeat(16384),
    quotes: '"'.repeat(16384),
    backslashes: '\\'.repeat(16384),
    escapes: `a="${'\\"'.repeat(8190)}"`,
    'open escapes': `a="${'\\"'.repeat(8190)}`,
    parameters: `a${Array.from({ length: 2700 }, (_, index) => `;p${index}`).join('')}`,
    semicolons: `a${';'.repeat(16383)}`,
    spaces: `a${' '.repeat(16382)}b`,
    words: 'a b '.repeat(4096),
    'open strings': 'x="a,'.repeat(3276),
    name: 'a'.repeat(16384),
    digits: `wait=${'9'.repeat(16379)}`,
  }

  it.each(Object.entries(hostile))('A23 FM-H22 16 KiB of %s take under 5 ms (median)', (_name, header) => {
    expect(medianCpuMs(() => readPreferences(header))).toBeLessThan(5)
  })

  it('A23 at most 64 members are looked at, malformed ones included and empty ones not', () => {
    const names = Array.from({ length: 70 }, (_, index) => `p${index}`)
    expect(parsePrefer(names.join(',')).size).toBe(64)
    expect(parsePrefer(`${'=,'.repeat(63)}x,y`).size).toBe(1)
    expect(isAsync(`${', '.repeat(500)}respond-async`)).toBe(true)
    expect(isAsync(`${'a,'.repeat(64)}respond-async`)).toBe(false)
  })

  it('A24 a value is not a name', () => {
    expect(readPreferences('Lenient').handling).toBeUndefined()
    expect(readPreferences('handling=lenient').handling).toBe('lenient')
  })

  it('A28 lines as Node joins them are read, octets and trailing commas included', () => {
    expect(readPreferences('respond-async, wait=10, foo="\u00e9", ')).toMatchObject({
      respondAsync: true,
      waitSeconds: 10,
    })
  })

  it('A29 unknown preferences stay readable with their parameters', () => {
    const callback = readPreferences('callback; url="https://c/h?a=1,2;3"').all.get('callback')
    expect(callback).toEqual({ value: '', params: new Map([['url', 'https://c/h?a=1,2;3']]) })
  })
})

describe('readPreferences', () => {
  it('B23 a request without the header gets one shared frozen answer, whose map no caller can spoil for others', () => {
    const none = readPreferences(undefined)
    expect(none).toBe(readPreferences(undefined))
    expect(Object.isFrozen(none)).toBe(true)
    expect({ ...none }).toEqual({ respondAsync: false, all: new Map() })
    ;(none.all as Map<string, Preference>).set('wait', { value: '1', params: new Map() })
    expect(readPreferences(undefined).all.size).toBe(0)
    expect(parsePrefer(undefined).size).toBe(0)
  })

  it.each(['-1', '1.5', '1e3', '0x10', '+10', '10s', '"10 "', '\u0661', 'NaN', 'Infinity'])(
    'B07 FM-E7 wait=%s is no wait',
    (value) => expect(wait(`wait=${value}`)).toBeUndefined(),
  )

  it('B07 leading zeros and zero itself are a wait', () => {
    expect(wait('wait=010')).toBe(10)
    expect(wait('wait=0')).toBe(0)
  })

  it.each(['2147483648', '99999999999999999999999', '9'.repeat(400), '999999999999'])(
    'B08 FM-E6 an overflowing wait counts as 2^31 seconds (%#)',
    (value) => expect(wait(`wait=${value}`)).toBe(2 ** 31),
  )

  it('B21 of return=minimal and return=representation the first wins', () => {
    expect(readPreferences('return=minimal, return=representation').return).toBe('minimal')
    expect(readPreferences('return=representation, return=minimal').return).toBe('representation')
  })

  it('B22 handling is handed on', () => {
    expect(readPreferences('handling=strict').handling).toBe('strict')
    expect(readPreferences('handling=lenient').handling).toBe('lenient')
  })
})

describe('formatPrefer', () => {
  it('A30 writes tokens bare, everything else quoted, and no space around the equals sign', () => {
    const callback: Preference = { value: '', params: new Map([['url', 'https://c/"h\\"']]) }
    expect(formatPrefer({ 'respond-async': true, wait: 10, handling: 'strict', foo: 'a b', no: false, callback })).toBe(
      'respond-async, wait=10, handling=strict, foo="a b", callback; url="https://c/\\"h\\\\\\""',
    )
    expect(formatPrefer({})).toBe('')
    expect(formatPrefer(parsePrefer('A = "1"; B="x y", c=""'))).toBe('a=1; b="x y", c')
  })

  it.each([{ 'a b': true }, { '': 1 }, { foo: 'a\r\nX: y' }, { foo: '€' }, { foo: 'a\u0000' }])(
    'A30 refuses what no header can carry: %j',
    (input) => expect(() => formatPrefer(input)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_INPUT' })),
  )

  it('A30 refuses a parameter that no header can carry', () => {
    const params = new Map([['a;b', '1']])
    expect(() => formatPrefer({ foo: { value: '', params } })).toThrow(/"a;b"/)
  })
})

describe('formatPreferenceApplied', () => {
  it('B11 names the preferences that were honoured', () => {
    expect(formatPreferenceApplied([['respond-async'], ['wait', 30]])).toBe('respond-async, wait=30')
  })

  it('B12 has no parameters and quotes only what is no token', () => {
    expect(formatPreferenceApplied([['return', 'minimal']])).toBe('return=minimal')
    expect(formatPreferenceApplied([['foo', 'a, b']])).toBe('foo="a, b"')
  })

  it('B13 is absent when nothing was honoured', () => {
    expect(formatPreferenceApplied([])).toBeUndefined()
  })
})
