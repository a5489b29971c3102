import assert from 'node:assert/strict'
import { type Agent, type IncomingHttpHeaders, request } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'

/** A request of a case. A body that is no text is sent as JSON, with its media type. */
export interface Sent {
  readonly method?: string
  readonly path: string
  /** Several values of a header are several lines. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: unknown
}

/** An answer, read to its end. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The body as JSON; empty when it is none. */
  readonly json: Readonly<Record<string, unknown>>
}

/** What headers must be: texts are equal, patterns match, `null` is absent, others are free. */
export type ExpectedHeaders = Readonly<Record<string, string | RegExp | null | undefined>>

/** A request under way, and what its answer must be. */
export class Exchange {
  readonly answer: Promise<Answer>
  readonly abort: () => void
  #received = ''

  constructor(agent: Agent, url: string, { method = 'GET', path, headers, body }: Sent) {
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
    const type = typeof body === 'object' ? { 'content-type': 'application/json' } : {}
    const length = text === undefined ? {} : { 'content-length': String(Buffer.byteLength(text)) }
    const all = { ...type, ...length, ...headers } as Record<string, string | string[]>
    const { hostname, port } = new URL(url)
    const outgoing = request({ agent, hostname, port, method, path, headers: all })
    this.abort = () => void outgoing.destroy()
    this.answer = new Promise<Answer>((resolve, reject) => {
      outgoing.on('error', reject).on('response', (incoming) => {
        incoming.setEncoding('utf8').on('error', reject)
        incoming.on('data', (chunk) => {
          this.#received += chunk
        })
        incoming.on('end', () => resolve(toAnswer(incoming.statusCode ?? 0, incoming.headers, this.#received)))
      })
    })
    // A case that breaks the connection does not ask for the answer.
    this.answer.catch(() => {})
    outgoing.end(text)
  }

  /** What has come of the body so far. */
  get received(): string {
    return this.#received
  }

  /** Checks the answer; a body that is no text is compared by the members that are named, by the rules of headers. */
  async is(status: number, headers: ExpectedHeaders = {}, body?: unknown): Promise<Answer> {
    const answer = await this.answer
    const shown = `${answer.status} ${inspect(answer.headers)} ${answer.text}`
    assert.equal(answer.status, status, `${answer.status} is not ${status}: ${shown}`)
    assertMatches(answer.headers, headers, `headers of ${shown}`)
    if (typeof body === 'string') assert.equal(answer.text, body)
    else assertMatches(answer.json, body, `body of ${shown}`)
    return answer
  }

  /** Checks that the answer is a problem document with this status and code. */
  refuses(status: number, code: string, headers: ExpectedHeaders = {}): Promise<Answer> {
    const problem = { 'content-type': /^application\/problem\+json/, 'cache-control': 'no-store', vary: /^Prefer/ }
    return this.is(status, { ...problem, ...headers }, { status, code, type: /^urn:respond-async:problem:[a-z-]+$/ })
  }
}

/** Writes the parts to a socket as they are, `pauseMs` apart, and gives all that comes back before it is closed. */
export async function writeRaw(
  url: string,
  parts: readonly string[],
  { pauseMs = 0, leave = false } = {},
): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname).setEncoding('latin1')
  let received = ''
  socket
    .on('error', () => {})
    .on('data', (chunk) => {
      received += chunk
    })
  const closed = new Promise((resolve) => socket.on('close', resolve))
  for (const part of parts) {
    socket.write(part, 'latin1')
    await sleep(pauseMs)
  }
  if (leave) socket.destroy()
  await closed
  return received
}

/** Compares what `expected` names, in depth: patterns match, `null` is absent. */
function assertMatches(actual: unknown, expected: unknown, where = 'value'): void {
  if (expected === undefined) return
  if (expected === null) assert.equal(actual, undefined, `${where} is there`)
  else if (expected instanceof RegExp) assert.match(String(actual), expected, where)
  else if (typeof expected !== 'object' || Array.isArray(expected)) assert.deepEqual(actual, expected, where)
  else {
    for (const [name, value] of Object.entries(expected))
      assertMatches(Object(actual)[name], value, `${name} in ${where}`)
  }
}

function toAnswer(status: number, headers: IncomingHttpHeaders, text: string): Answer {
  const isJson = /json/.test(String(headers['content-type'])) && text !== ''
  return { status, headers, text, json: isJson ? (JSON.parse(text) as Answer['json']) : {} }
}
