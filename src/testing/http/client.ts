import assert from 'node:assert/strict'
import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'

/** A request of a case. A body that is no text is sent as JSON, with its media type. */
export interface Sent {
  readonly method?: string
  readonly path?: string
  /** Several values of a header are several lines. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: unknown
}

/** An answer, read to its end. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** A request under way. */
export interface Exchange {
  readonly answer: Promise<Answer>
  /** What has come of the body so far. */
  received(): string
  /** Breaks the connection. */
  abort(): void
}

/** What an answer must be: texts are equal, patterns match, `null` is absent, and other members are free. */
export interface Expected {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | RegExp | null>>
  readonly body?: unknown
}

/** Speaks HTTP/1.1 over real sockets, without any wishes of its own, as `fetch` has some. */
export class Client {
  readonly #agent = new Agent({ keepAlive: true })
  readonly #origin: URL

  constructor(url: string) {
    this.#origin = new URL(url)
  }

  start({ method = 'GET', path = '/', headers = {}, body }: Sent): Exchange {
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
    const type = typeof body === 'object' ? { 'content-type': 'application/json' } : {}
    const length = text === undefined ? {} : { 'content-length': String(Buffer.byteLength(text)) }
    const { hostname, port } = this.#origin
    const all = { ...type, ...length, ...headers } as Record<string, string | string[]>
    const outgoing = request({ agent: this.#agent, hostname, port, method, path, headers: all })
    let received = ''
    const answer = new Promise<Answer>((resolve, reject) => {
      outgoing.on('error', reject)
      outgoing.on('response', (incoming) => {
        incoming.setEncoding('utf8').on('data', (chunk: string) => {
          received += chunk
        })
        incoming.on('error', reject)
        incoming.on('end', () =>
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text: received }),
        )
      })
    })
    answer.catch(() => {})
    outgoing.end(text)
    return { answer, received: () => received, abort: () => outgoing.destroy() }
  }

  send(sent: Sent): Promise<Answer> {
    return this.start(sent).answer
  }

  /** Writes the parts as they are, `pauseMs` apart, and gives all that comes back until the server closes, or leaves. */
  raw(parts: readonly string[], { pauseMs = 0, leave = false } = {}): Promise<string> {
    const socket = connect(Number(this.#origin.port), this.#origin.hostname)
    let received = ''
    return new Promise((resolve) => {
      socket.setEncoding('latin1').on('data', (chunk) => {
        received += String(chunk)
      })
      socket.on('error', () => {}).on('close', () => resolve(received))
      socket.on('connect', async () => {
        for (const part of parts) {
          socket.write(part, 'latin1')
          await sleep(pauseMs)
        }
        if (leave) socket.destroy()
      })
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}

/** Compares by the rules of `Expected`, in depth. */
export function assertMatches(actual: unknown, expected: unknown, where = 'value'): void {
  if (expected === undefined) return
  if (expected === null) return assert.equal(actual, undefined, `${where} is there`)
  if (expected instanceof RegExp) return assert.match(String(actual), expected, where)
  if (typeof expected !== 'object' || Array.isArray(expected)) return assert.deepEqual(actual, expected, where)
  assert.ok(typeof actual === 'object' && actual !== null, `${where} is ${inspect(actual)}`)
  for (const [name, value] of Object.entries(expected)) {
    assertMatches((actual as Readonly<Record<string, unknown>>)[name], value, `${where}.${name}`)
  }
}

/** Compares an answer, and shows all of it when it differs. */
export function assertAnswer(answer: Answer, { status, headers, body }: Expected): void {
  const shown = `${answer.status} ${JSON.stringify(answer.headers)} ${answer.text}`
  assertMatches(answer.status, status, `status of ${shown}`)
  assertMatches(answer.headers, headers, `headers of ${shown}`)
  if (typeof body === 'string') assert.equal(answer.text, body)
  else if (body !== undefined) assertMatches(jsonOf(answer), body, `body of ${shown}`)
}

/** The JSON body of an answer. */
export function jsonOf({ text }: Answer): Readonly<Record<string, unknown>> {
  return JSON.parse(text) as Readonly<Record<string, unknown>>
}
