import { afterEach, beforeEach, expect, vi } from 'vitest'
import { type FollowOptions, follow, resume } from '../../../src/client/index.js'

/** What one scripted call of fetch is answered with; an Error is a network error. */
export type Step = Response | Error | ((init: RequestInit) => Response | Promise<Response>)

export interface Call {
  url: string
  method: string
  headers: Headers
  init: RequestInit
  /** When the call came, in milliseconds of the (fake) clock. */
  at: number
}

/** A fetch that gives the scripted answers in turn, records what it was asked, and fails when asked once more. */
export function scriptedFetch(...steps: Step[]) {
  const calls: Call[] = []
  const fetch = async (url: string, init: RequestInit): Promise<Response> => {
    const step = steps[calls.length]
    const method = init.method ?? 'GET'
    calls.push({ url, method, headers: new Headers(init.headers), init, at: Date.now() })
    if (step === undefined) throw new Error(`call ${calls.length} is not scripted: ${method} ${url}`)
    if (step instanceof Error) throw step
    return typeof step === 'function' ? step(init) : step
  }
  return { fetch, calls }
}

/** An answer with a JSON body. */
export function json(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json', ...headers } })
}

/** A problem document of RFC 9457. */
export function problem(status: number, members: object = {}, headers: Record<string, string> = {}): Response {
  return json(status, { status, ...members }, { 'content-type': 'application/problem+json', ...headers })
}

/** The 202 of a gateway, as the first answer and as the answer to a poll of a running operation. */
export function accepted(headers: Record<string, string> = {}, document: object = {}): Response {
  const body = { id: '01J', status: 'running', links: { self: '/operations/01J' }, ...document }
  return json(202, body, { location: '/operations/01J', 'retry-after': '0', ...headers })
}

/** An answer that leads to another address. */
export function redirect(location: string, status = 303): Response {
  return new Response(null, { status, headers: { location } })
}

/** What browsers give for a redirect that they were told not to follow. */
export function opaqueRedirect(): Response {
  return Object.defineProperty(Response.error(), 'type', { value: 'opaqueredirect' })
}

/** An answer whose `url` and `redirected` are those of a redirect that fetch followed by itself. */
export function redirectedTo(url: string, response: Response): Response {
  return Object.defineProperties(response, { url: { value: url }, redirected: { value: true } })
}

export const ORIGIN = 'https://api.example'
export const OPERATION = `${ORIGIN}/operations/01J`

/** The positive result that most scripts end with. */
export const created = () => json(201, { id: '1' }, { location: '/users/1' })

/** What fetch rejects with when there is no connection. */
export const offline = () => new TypeError('fetch failed')

/** A request that only its signal ends, with an error of its own as older browsers do. */
export const hang: Step = ({ signal }) =>
  new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new Error('The user aborted a request'))))

/** Gives each test a clock that stands at 0, no jitter, and the duty to leave no timer behind. */
export function useVirtualTime(): void {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], now: 0 })
    vi.spyOn(Math, 'random').mockReturnValue(0)
  })
  afterEach(() => {
    expect(vi.getTimerCount()).toBe(0)
    vi.useRealTimers()
    vi.restoreAllMocks()
  })
}

export type Fetch = NonNullable<FollowOptions['fetch']>

/** Runs a call to its end in virtual time and gives what it answered or threw, with the calls of fetch. */
export async function finish(call: (fetch: Fetch) => Promise<Response>, steps: Step[]) {
  const script = scriptedFetch(...steps)
  let settled = false
  const outcome = call(script.fetch)
    .then((response) => ({ response, error: undefined }))
    .catch((error: unknown) => ({ response: undefined, error }))
    .finally(() => {
      settled = true
    })
  for (let hour = 0; !settled && hour < 30; hour++) await vi.advanceTimersByTimeAsync(3_600_000)
  const [first, ...polls] = script.calls
  return { ...(await outcome), calls: script.calls, first, polls, at: script.calls.map((each) => each.at) }
}

/** Runs `follow` with a POST against a script. */
export const post = (steps: Step[], options: FollowOptions = {}) =>
  finish((fetch) => follow(`${ORIGIN}/users`, { method: 'POST', body: '{}', ...options, fetch }), steps)

/** Runs `resume` against a script. */
export const pick = (steps: Step[], options: FollowOptions = {}) =>
  finish((fetch) => resume(OPERATION, { ...options, fetch }), steps)
