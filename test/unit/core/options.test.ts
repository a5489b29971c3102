import { created, createGateway, memoryStore, memoryTransport } from 'respond-async'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { CoreOptions } from '../../../src/core/options.js'

const transport = memoryTransport()

function making(options: object): () => unknown {
  return () => createGateway({ transport, ...options } as CoreOptions & { events?: undefined })
}

function refusal(message: string | RegExp) {
  return expect.objectContaining({
    name: 'GatewayError',
    code: 'ERR_CONFIG',
    message: typeof message === 'string' ? message : expect.stringMatching(message),
  })
}

describe('options of a gateway', () => {
  it('has the documented defaults', () => {
    const { events, clock, ...settings } = createGateway({ transport }).settings
    expect(settings).toEqual({
      service: 'gateway',
      wake: 'transport',
      waitMs: 5000,
      maxWaitMs: 25_000,
      maxPending: 10_000,
      maxPendingPerPrincipal: 1000,
      maxOpen: 100_000,
      maxPerPrincipal: undefined,
      maxOperations: 100_000,
      operationTtlMs: 3_600_000,
      retentionMs: 86_400_000,
      storeTimeoutMs: 1000,
      publishTimeoutMs: 1000,
      relayAfterMs: 5000,
      drainMs: 10_000,
    })
    expect(events).toEqual({})
    expect(Math.abs(clock.now() - Date.now())).toBeLessThan(1000)
  })

  // Name, least and greatest value.
  const limits: [string, number, number][] = [
    ['waitMs', 0, 300_000],
    ['maxWaitMs', 0, 300_000],
    ['maxPending', 0, 10_000_000],
    ['maxPendingPerPrincipal', 0, 10_000_000],
    ['maxOpen', 1, 100_000_000],
    ['maxPerPrincipal', 1, 100_000_000],
    ['maxOperations', 1, 100_000_000],
    ['operationTtlMs', 1, 31_536_000_000],
    ['retentionMs', 0, 31_536_000_000],
    ['storeTimeoutMs', 1, 60_000],
    ['publishTimeoutMs', 1, 60_000],
    ['relayAfterMs', 1, 86_400_000],
    ['drainMs', 0, 600_000],
  ]

  it.each(limits)('%s is a whole number from %d to %d', (name, least, greatest) => {
    for (const value of [least, greatest]) {
      expect(createGateway({ transport, [name]: value }).settings).toMatchObject({ [name]: value })
    }
    const allowed = `allowed is a whole number from ${least} to ${greatest}.`
    for (const value of [least - 1, greatest + 1, least + 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(making({ [name]: value })).toThrow(refusal(`${name} is ${value}; ${allowed}`))
    }
    expect(making({ [name]: '5s' })).toThrow(refusal(`${name} is "5s"; ${allowed}`))
    expect(making({ [name]: [] })).toThrow(refusal(`${name} is an empty list; ${allowed}`))
  })

  it.each<[object, string | RegExp]>([
    [
      { transport: memoryTransport },
      /^transport is a function \(is it to be called: memoryTransport\(\)\?\); allowed is/,
    ],
    [{ waitMs: () => 5 }, /^waitMs is a function \(is it to be called: waitMs\(\)\?\);/],
    [{ transport: undefined }, 'transport is undefined; allowed is a transport, such as memoryTransport().'],
    [{ transport: null }, /^transport is null;/],
    [
      { transport: { publish() {} } },
      'transport is an object with publish; allowed is a transport, such as memoryTransport().',
    ],
    [{ transport: 'amqp://localhost' }, /^transport is "amqp:\/\/localhost";/],
    [{ store: 'memory' }, `store is "memory"; allowed is a store, such as memoryStore(), or 'none'.`],
    [{ store: null }, /^store is null;/],
    [{ store: {} }, /^store is an object with nothing in it;/],
    [{ service: '' }, 'service is ""; allowed is 1 to 64 letters, digits, dots, hyphens and underscores.'],
    [{ service: 'a b' }, /^service is "a b";/],
    [{ service: 'a'.repeat(65) }, /^service is "aaa/],
    [{ service: 7 }, /^service is 7;/],
    [{ clock: {} }, 'clock is an object with nothing in it; allowed is a Clock.'],
    [{ clock: null }, 'clock is null; allowed is a Clock.'],
    [
      { events: { Ask: { parse() {} } } },
      /^events: Ask is an object with parse; allowed is a Standard Schema, such as/,
    ],
    [{ events: { Ask: null } }, /^events: Ask is null;/],
    [
      { waitSeconds: 5 },
      /^createGateway has no option "waitSeconds"; there are: authorize, bodyLimit, clock, drainMs,/,
    ],
  ])('%j: says what it got and what is allowed', (options, message) => {
    expect(making(options)).toThrow(refusal(message))
  })

  it.each([
    ['waitMS', 'waitMs'],
    ['servce', 'service'],
    ['maxPendings', 'maxPending'],
    ['waitSeconds', undefined],
  ])('guesses what %s was to be', (name, meant) => {
    const text = meant === undefined ? /[a-z]\.$/ : new RegExp(`\\. Is it to be ${meant}\\?$`)
    expect(making({ [name]: 1 })).toThrow(refusal(text))
  })

  it('names no more of a large object than one can read', () => {
    const store = Object.fromEntries(['_a', ...'abcdefgh'].map((name) => [name, 1]))
    expect(making({ store })).toThrow(refusal(/^store is an object with a, b, c, d, e, f, and 2 more;/))
  })

  it('refuses to be called without any', () => {
    expect(() => (createGateway as () => unknown)()).toThrow(refusal(/^transport is undefined;/))
  })

  it("takes parts of one's own", () => {
    const store = memoryStore()
    const gateway = createGateway({ transport, store, service: 'a.B_c-9' })
    expect([gateway.keepsOperations, gateway.outlivesGateway, gateway.settings.service]).toEqual([
      true,
      true,
      'a.B_c-9',
    ])
    const none = createGateway({ transport, store: 'none' })
    expect([none.keepsOperations, none.outlivesGateway]).toEqual([false, false])
    const own = createGateway({ transport })
    expect([own.keepsOperations, own.outlivesGateway]).toEqual([true, false])
  })
})

describe('options of a command', () => {
  const outcomes = { Done: 'succeeded' } as const

  function declaring(definition: unknown): () => unknown {
    return () => createGateway({ transport }).command(definition as never)
  }

  it.each<[unknown, string | RegExp]>([
    [undefined, 'publish is undefined; allowed is the type of the request event, at most 240 bytes.'],
    [{ outcomes }, /^publish is undefined;/],
    [{ publish: '', outcomes }, 'publish is ""; allowed is the type of the request event, at most 240 bytes.'],
    [{ publish: 'é'.repeat(121), outcomes }, /^publish is "é+.*at most 240 bytes\.$/],
    [{ publish: 'Ask', outcomes: { ['x'.repeat(241)]: 'failed' } }, /^outcomes of Ask is "x+.*at most 240 bytes\.$/],
    [{ publish: 'Ask' }, 'outcomes of Ask is undefined; allowed is a table with at least one result event.'],
    [{ publish: 'Ask', outcomes: null }, /^outcomes of Ask is null;/],
    [{ publish: 'Ask', outcomes: {} }, /^outcomes of Ask is an object with nothing in it;/],
    [
      { publish: 'Ask', outcomes: { Ask: 'failed' } },
      'Ask is the request event of its command and cannot be its result too.',
    ],
    [
      { publish: 'Ask', outcomes: { Done: 'done' } },
      `outcome of Done is "done"; allowed is 'succeeded', 'failed' or an outcome such as created() or problem().`,
    ],
    [{ publish: 'Ask', outcomes: { Done: undefined } }, /^outcome of Done is undefined;/],
    [{ publish: 'Ask', outcomes: { Done: { state: 'expired' } } }, /^outcome of Done is an object with state;/],
    [{ publish: 'Ask', outcomes, key: 'id' }, 'key of Ask is "id"; allowed is a function of the data.'],
    [
      { publish: 'Ask', outcomes, onConcurrent: 'wait' },
      `onConcurrent of Ask is "wait"; allowed is 'join' or 'conflict'.`,
    ],
    [{ publish: 'Ask', outcomes, progress: 'Half' }, 'progress of Ask is "Half"; allowed is a list of event types.'],
    [{ publish: 'Ask', outcomes, progress: [''] }, /^progress of Ask is a list;/],
    [{ publish: 'Ask', outcomes, progress: ['Done'] }, 'Done is a progress event and cannot be a result too.'],
    [{ publish: 'Ask', outcomes: { 'Ask::Progress': 'failed' } }, /^Ask::Progress is a progress event/],
    [{ publish: 'Ask', outcomes, cancel: true }, 'cancel of Ask is true; allowed is an event type.'],
    [{ publish: 'Ask', outcomes, waitMs: -1 }, 'waitMs is -1; allowed is a whole number from 0 to 300000.'],
    [{ publish: 'Ask', outcomes, maxOpen: 0 }, 'maxOpen is 0; allowed is a whole number from 1 to 100000000.'],
    [
      { publish: 'Ask', outcomes, timeout: 1 },
      /^The command Ask has no option "timeout"; there are: accepted, asyncGraceMs,/,
    ],
  ])('%j: says what it got and what is allowed', (definition, message) => {
    expect(declaring(definition)).toThrow(refusal(message))
  })

  it('knows the results, the failure of the worker helper and the progress of a command', () => {
    const gateway = createGateway({ transport })
    const { plan, name } = gateway.command({
      ...{ publish: 'Ask', outcomes: { Done: created(), NotDone: 'failed' }, progress: ['Half'] },
      ...{ waitMs: 7, maxOpen: 3, onConcurrent: 'conflict', cancel: 'Stop', key: () => 'k' },
    })
    expect(name).toBe('Ask')
    expect([...plan.resultTypes].sort()).toEqual(['Ask::Failed', 'Done', 'NotDone'])
    expect([...plan.progressTypes].sort()).toEqual(['Ask::Progress', 'Half'])
    expect(plan).toMatchObject({ waitMs: 7, maxOpen: 3 })
    expect(plan.outcomeOf('Done')?.state).toBe('succeeded')
    expect(plan.outcomeOf('NotDone')).toEqual({ state: 'failed' })
    expect(plan.outcomeOf('Ask::Failed')?.state).toBe('failed')
    for (const type of ['Ask', 'Half', 'constructor', '__proto__']) expect(plan.outcomeOf(type)).toBeUndefined()
    expect(gateway.commandOf('Ask')).toBe(plan)
    expect(gateway.commandOf('Tell')).toBeUndefined()
  })

  it('a command may say itself what the failure of the worker helper means', () => {
    const { plan } = createGateway({ transport }).command({ publish: 'Ask', outcomes: { 'Ask::Failed': 'succeeded' } })
    expect(plan.outcomeOf('Ask::Failed')).toEqual({ state: 'succeeded' })
  })

  it('refuses a second command of the same name', () => {
    const gateway = createGateway({ transport })
    gateway.command({ publish: 'Ask', outcomes })
    expect(() => gateway.command({ publish: 'Ask', outcomes })).toThrow(refusal('The command Ask exists already.'))
  })

  it('refuses a command that comes after the start', async () => {
    const gateway = createGateway({ transport: memoryTransport() })
    const started = gateway.start()
    const late = refusal('Declare the command Ask before start().')
    expect(() => gateway.command({ publish: 'Ask', outcomes })).toThrow(late)
    await started
    expect(() => gateway.command({ publish: 'Ask', outcomes })).toThrow(late)
    await gateway.close()
    expect(() => gateway.command({ publish: 'Ask', outcomes })).toThrow(late)
  })

  it('FM-H30 with schemas, every event that a command names needs one', () => {
    const events = { Ask: z.object({}), Done: z.object({}) }
    const gateway = createGateway({ transport, events })
    for (const definition of [
      { publish: 'Tell', outcomes },
      { publish: 'Ask', outcomes: { Tell: 'succeeded' } },
      { publish: 'Ask', outcomes, progress: ['Tell'] },
      { publish: 'Ask', outcomes, cancel: 'Tell' },
    ]) {
      const wanted = refusal('There is no schema for the event Tell; there are: Ask, Done.')
      expect(() => gateway.command(definition as never)).toThrow(wanted)
    }
    expect(gateway.command({ publish: 'Ask', outcomes }).name).toBe('Ask')
  })
})
