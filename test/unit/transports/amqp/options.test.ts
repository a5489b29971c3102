import { describe, expect, it } from 'vitest'
import { type AmqpOptions, amqp } from '../../../../src/transports/amqp/index.js'

const url = 'amqp://user:secret@localhost'

function refusal(options: unknown): string {
  try {
    amqp(options as AmqpOptions)
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_CONFIG' })
    return (error as Error).message
  }
  return 'it was taken'
}

describe('the options of amqp()', () => {
  it.each([
    [{}, /^connection is undefined; allowed is an amqplib connection/],
    [{ url, connection: {} }, /^connection is an object/],
    [{ connection: {} }, /^connection is an object with nothing in it/],
    [{ connection: 'x' }, /^connection is "x"/],
    [{ url: 'http://localhost' }, /^url is .*amqp:\/\/ or amqps:\/\//],
    [{ url: 'nonsense:secret' }, /^url is/],
    [{ url, prefix: 'a b' }, /^prefix is "a b"/],
    [{ url, replies: 'queue' }, /^replies is "queue"; allowed is 'topic' or 'direct'/],
    [{ url, replyTo: 'elsewhere' }, /^replyTo is "elsewhere"/],
    [{ url, results: { key: 'a' } }, /results of amqp\(\) has no option "key"/],
    [{ url, requests: { deliveryLimit: 0 } }, /^deliveryLimit is 0/],
    [{ url, replies: 'direct', replyTo: 'recorder' }, /^replyTo is "recorder"; allowed is 'own'/],
    [{ url, replies: 'direct', replay: true }, /^replay is true; allowed is false, as replies: 'direct'/],
    [{ url, replies: 'direct', replay: 'queues' }, /^replay is "queues"; allowed is false, as replies: 'direct'/],
    [{ url, replay: 'foo' }, /^replay is "foo"; allowed is true, false, 'queues' or/],
    [{ url, replay: null }, /^replay is null/],
    [{ url, replay: { maxage: '1D' } }, /replay of amqp\(\) has no option "maxage"/],
    [{ url, replay: { maxAge: 'foo' } }, /^replay\.maxAge is "foo"; allowed is .*'7D' or '12h'/],
    [{ url, replay: { maxAge: '0D' } }, /^replay\.maxAge is "0D"/],
    [{ url, replay: { maxAge: 7 } }, /^replay\.maxAge is 7/],
    [{ url, replay: { maxBytes: '1GB' } }, /^maxBytes is "1GB"/],
    [{ url, results: { keys: 'users.#' } }, /^results\.keys is "users\.#"; allowed is a list/],
    [{ url, results: { keys: [1] } }, /^results\.keys is/],
    [{ url, results: { correlationHeader: 5 } }, /^results\.correlationHeader is 5; allowed is the name of a header/],
    [{ url, results: { exchange: '' } }, /^results\.exchange is ""/],
    [{ url, requests: { exchange: 5 } }, /^requests\.exchange is 5/],
    [{ url, requests: { routes: { A: 'q' } } }, /^requests\.routes: A is "q"; allowed is { exchange, key }/],
    [{ url, requests: { routes: { A: {} } } }, /^requests\.routes: A, key is undefined/],
    [{ url, requests: { routes: { A: { key: 'q', exchange: null } } } }, /^requests\.routes: A, exchange is null/],
    [{ url, requests: { routes: { A: { kye: 'q' } } } }, /requests\.routes: A has no option "kye"/],
    [{ url, requests: { routes: 'q' } }, /^requests\.routes is "q"/],
    [{ url, requests: { queues: { A: 5 } } }, /^requests\.queues: A is 5/],
    [{ url, requests: { queues: ['q'] } }, /^requests\.queues is a list/],
    [{ url, waitForBroker: 'yes' }, /^waitForBroker is "yes"/],
    [{ url, clock: Date }, /^clock is a function/],
    [{ url, heartbeatSeconds: 0.5 }, /^heartbeatSeconds is 0\.5/],
    [{ url, prefetch: 1 }, /amqp\(\) has no option "prefetch"; there are: /],
  ])('%o is refused in a sentence that names the option', (options, text) => {
    expect(refusal(options)).toMatch(text)
  })

  it('FM-H27 no refusal shows the password', () => {
    expect(refusal({ url: 'amqp:/user:secret@' })).not.toContain('secret')
    expect(refusal({ url: 'http://user:secret@localhost' })).not.toContain('secret')
  })

  it.each([
    [{ connection: async () => ({}) }],
    [{ url, replay: true }],
    [{ url, replay: 'queues' }],
    [{ url, replay: { maxAge: '7D', maxBytes: 1_000_000_000 } }],
    [{ url, replay: { maxAge: '12h' } }],
    [{ url, replies: 'direct' }],
    [{ url, replyTo: 'recorder' }],
    [{ url, results: { keys: ['users.#'], correlationHeader: 'request' } }],
    [{ url, requests: { routes: { A: { key: 'q' }, B: { exchange: 'x', key: '' } }, queues: { C: 'q' } } }],
  ])('%o is taken', (options) => {
    expect(refusal(options)).toBe('it was taken')
  })

  it('has defaults', () => {
    expect(amqp({ url })).toMatchObject({ maxBodyBytes: 16_777_216, durability: { class: 'durable' } })
  })

  it.each([
    [{}, { own: true, shared: true }, { durability: { class: 'process' } }],
    [{}, { own: true, shared: false }, { durability: { class: 'process' } }],
    [{}, { own: false, shared: true }, { missing: /wake: 'store'.*replyTo: 'recorder' of amqp\(\)/ }],
    [{ replyTo: 'recorder' }, { own: true, shared: true }, { durability: { class: 'durable' } }],
    [{ replyTo: 'recorder' }, { own: false, shared: true }, { durability: { class: 'durable' } }],
    [
      { replyTo: 'recorder' },
      { own: true, shared: false },
      { missing: /replyTo: 'recorder' of amqp\(\).*option store/ },
    ],
    [{ replies: 'direct' }, { own: false, shared: true }, { durability: { class: 'process' } }],
  ] as const)('%o, read by %o, say where answers go: %o', (options, readings, expected) => {
    const address = amqp({ url, ...options }).replyAddress?.(readings)
    if ('missing' in expected) expect(address).toEqual({ missing: expect.stringMatching(expected.missing) })
    else expect(address).toEqual(expected)
  })
})
