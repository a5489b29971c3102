import { describe, expect, it } from 'vitest'
import { systemClock } from '../../../../src/core/clock.js'
import { type EventInit, toMessage } from '../../../../src/core/event.js'
import { spring } from '../../../../src/index.js'
import type { AmqpConnection } from '../../../../src/transports/amqp/client.js'
import { headLimit } from '../../../../src/transports/amqp/head.js'
import { amqp } from '../../../../src/transports/amqp/index.js'

const MOST = 65_536 - 2048

function excess(init: Partial<EventInit>): string | undefined {
  const transport = amqp({ url: 'amqp://localhost' })
  return transport.excessOf?.(toMessage({ type: 'A', source: 'test', data: {}, ...init }, systemClock))
}

describe('what is beside the body', () => {
  it.each([
    [undefined, MOST],
    [{}, MOST],
    [{ connection: { frameMax: 131_072 } }, MOST],
    [{ connection: { frameMax: 4096 } }, 4096 - 8 - 2048],
    [{ connection: { frameMax: 0xffffffff } }, MOST],
  ])('of a connection %o so much is taken: %d', (connection, limit) => {
    expect(headLimit(connection as AmqpConnection | undefined)).toBe(limit)
  })

  it.each([
    [{ key: 'x'.repeat(63_000) }],
    [{ tenant: 'x'.repeat(63_000) }],
    [{ headers: { a: 'x'.repeat(40_000), b: 'x'.repeat(20_000) } }],
    [{ type: 'x'.repeat(255) }],
    [{ headers: { ['x'.repeat(255)]: '1' } }],
  ])('fits', (init) => {
    expect(excess(init)).toBeUndefined()
  })

  it.each([
    [{ key: 'x'.repeat(64_000) }, /^Key, trace and headers have 64016 bytes; RabbitMQ takes 63488\.$/],
    [{ key: 'ü'.repeat(32_000) }, /have 64016 bytes/],
    [{ tenant: 'x'.repeat(64_000) }, /^Key, trace/],
    [{ tracestate: 'x'.repeat(64_000) }, /^Key, trace/],
    [{ headers: { a: 'x'.repeat(40_000), b: 'x'.repeat(30_000) } }, /have 70022 bytes/],
    [{ profile: spring(), headers: { a: 'x'.repeat(64_000) } }, /^Key, trace/],
    [{ type: 'x'.repeat(256) }, /^A name of 256 bytes is too long: RabbitMQ takes 255 \(x+…\)/],
    [{ headers: { ['ü'.repeat(128)]: '1' } }, /^A name of 256 bytes/],
  ])('is more than RabbitMQ takes', (init, text) => {
    expect(excess(init)).toMatch(text)
  })
})
