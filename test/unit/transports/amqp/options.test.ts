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
    [{ url: 'http://localhost' }, /^url is .*amqp:\/\/ or amqps:\/\//],
    [{ url: 'nonsense:secret' }, /^url is/],
    [{ url, prefix: 'a b' }, /^prefix is "a b"/],
    [{ url, replies: 'queue' }, /^replies is "queue"; allowed is 'topic' or 'direct'/],
    [{ url, replyTo: 'elsewhere' }, /^replyTo is "elsewhere"/],
    [{ url, results: { key: 'a' } }, /results of amqp\(\) has no option "key"/],
    [{ url, requests: { deliveryLimit: 0 } }, /^deliveryLimit is 0/],
    [{ url, heartbeatSeconds: 0.5 }, /^heartbeatSeconds is 0\.5/],
    [{ url, prefetch: 1 }, /amqp\(\) has no option "prefetch"; there are: /],
  ])('%o is refused in a sentence that names the option', (options, text) => {
    expect(refusal(options)).toMatch(text)
  })

  it('no refusal shows the password', () => {
    expect(refusal({ url: 'amqp:/user:secret@' })).not.toContain('secret')
    expect(refusal({ url: 'http://user:secret@localhost' })).not.toContain('secret')
  })

  it('has defaults', () => {
    expect(amqp({ url })).toMatchObject({ maxBodyBytes: 16_777_216, durability: { class: 'durable' } })
  })
})
