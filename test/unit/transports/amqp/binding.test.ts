import { cloudEvents, nest, spring } from 'respond-async'
import { describe, expect, it } from 'vitest'
import { toMessage } from '../../../../src/core/event.js'
import { createId } from '../../../../src/core/ids.js'
import { createFakeClock } from '../../../../src/testing/fake-clock.js'
import { bindingWith, nativeBinding } from '../../../../src/transports/amqp/binding.js'

const clock = createFakeClock()
const surroundings = { type: 'User::Created', now: 1_000 }
const body = Buffer.from('{"id":"1"}')

describe('the native binding on the wire', () => {
  it('P04 P11 a request uses the basic properties, and both ids', () => {
    const id = createId(clock.now())
    const message = toMessage(
      { id, correlationId: id, type: 'CreateUser::Requested', source: 'shop', replyTo: 'here', data: { a: 1 } },
      clock,
    )
    expect(nativeBinding.write(message).properties).toEqual({
      messageId: id,
      correlationId: id,
      type: 'CreateUser::Requested',
      timestamp: Math.floor(clock.now() / 1000),
      contentType: 'application/json',
      appId: 'shop',
      replyTo: 'here',
      deliveryMode: 2,
      headers: undefined,
    })
  })

  it('FM-B11 no message has a time to live: a request that waits for its worker is not dropped unseen', () => {
    for (const profile of [undefined, cloudEvents(), spring(), nest()]) {
      const message = toMessage({ type: 'A', source: 'w', data: {}, ...(profile && { profile }) }, clock)
      expect(bindingWith().write(message).properties).not.toHaveProperty('expiration')
    }
  })

  it('a result that its request caused needs no header either', () => {
    const init = { type: 'A', source: 'w', correlationId: 'request', causationId: 'request', data: {} }
    expect(nativeBinding.write(toMessage(init, clock)).properties.headers).toBeUndefined()
  })

  it('the body is passed on as it is', () => {
    const message = toMessage({ type: 'A', source: 'w', body }, clock)
    expect(nativeBinding.write(message).body).toBe(body)
    expect(nativeBinding.read({ properties: {}, body }, surroundings).body).toBe(body)
  })

  it('a message that says nothing of itself gets what is around it', () => {
    const got = nativeBinding.read({ properties: {}, body }, surroundings)
    expect(got).toMatchObject({ type: 'User::Created', time: 1_000, contentType: 'application/json', source: '' })
    expect(got.correlationId).toBeUndefined()
  })

  it('each copy of a message without an id gets the same one, and another message another one', () => {
    const read = (correlationId: string) =>
      nativeBinding.read({ properties: { correlationId, type: 'A' }, body }, surroundings).id
    expect(read('one')).toBe(read('one'))
    expect(read('one')).not.toBe(read('two'))
  })

  it('the milliseconds come from an id of the same second, else from a header, else they are lost', () => {
    const read = (messageId: string, headers?: Record<string, unknown>) =>
      nativeBinding.read({ properties: { messageId, timestamp: 1_700_000_000, headers }, body }, surroundings).time
    expect(read(createId(1_700_000_000_123))).toBe(1_700_000_000_123)
    expect(read(createId(1_700_000_001_123))).toBe(1_700_000_000_000)
    expect(read('foreign', { timestamp_in_ms: 1_700_000_000_777 })).toBe(1_700_000_000_777)
  })
})
