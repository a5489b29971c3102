import { afterEach, expect, it, vi } from 'vitest'
import { amqp } from '../../../src/transports/amqp/index.js'
import { platformatic } from '../../../src/transports/kafka/index.js'

afterEach(() => void vi.restoreAllMocks())

const url = 'amqps://user:secret@localhost'
const bootstrapBrokers = ['localhost:9092']

function warnings(make: () => unknown): string[] {
  const emit = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  make()
  return emit.mock.calls.map(([text]) => String(text))
}

it.each([
  ['socket', (tls: Record<string, unknown>) => amqp({ url, socket: tls })],
  ['tls', (tls: Record<string, unknown>) => platformatic({ bootstrapBrokers, tls })],
])('FM-H28 TLS that verifies nothing is a warning that names the option %s, and no secret', (name, make) => {
  const [text, ...others] = warnings(() => make({ rejectUnauthorized: false, passphrase: 'secret' }))
  expect([text, others]).toEqual([expect.stringContaining(`${name}.rejectUnauthorized is false`), []])
  expect(text).not.toContain('secret')
})

it('FM-H28 TLS that verifies is none, nor is a connection without it', () => {
  expect(warnings(() => amqp({ url, socket: { ca: 'x', rejectUnauthorized: true } }))).toEqual([])
  expect(warnings(() => platformatic({ bootstrapBrokers, tls: {} }))).toEqual([])
  expect(warnings(() => [amqp({ url }), platformatic({ bootstrapBrokers })])).toEqual([])
})
