import {
  isAccepted,
  type OperationDocument,
  readOperation,
  readProblem,
  retryAfterMs,
  statusReference,
} from './answers.js'

/** What `resume` takes: the options of `fetch` that suit a GET, and how to poll. */
export interface ResumeOptions extends Omit<RequestInit, 'method' | 'body'> {
  /**
   * Seconds that each poll asks the server to hold it (`Prefer: wait`, which CORS must allow across origins); 0 polls
   * plainly. @default 20
   */
  longPollSeconds?: number
  /** How long the final answer may take; `Infinity` for no limit. @default 3_600_000 (one hour) */
  deadlineMs?: number
  /** Further origins that a followed address may have; they never get the headers of the request. */
  allowOrigins?: readonly string[]
  /** Called with the status document of each poll, for progress. */
  onStatus?: (operation: OperationDocument) => unknown
  /** Sends the requests in place of the global `fetch`. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>
}

/** What `follow` takes: the options of `fetch` and of `resume`, and how to send the first request. */
export interface FollowOptions extends ResumeOptions, Pick<RequestInit, 'method' | 'body'> {
  /** Asks for a 202 at once, or with `waitSeconds` after that time. */
  prefer?: 'respond-async'
  /** Whole seconds that the first request may be held for its result (`Prefer: wait`). */
  waitSeconds?: number
  /** Lets the request be repeated without doing its work twice; `true` makes a random key. */
  idempotencyKey?: true | string
  /** How often the first request is repeated where that is safe. @default 2 */
  retries?: number
  /** Called, and awaited, when a 202 arrives; the absolute `location` is what `resume` needs. */
  onAccepted?: (accepted: { location: string; operation: OperationDocument | undefined }) => unknown
}

type Code = 'ERR_CONFIG' | 'ERR_DEADLINE' | 'ERR_FOREIGN_ORIGIN' | 'ERR_NO_LOCATION' | 'ERR_TOO_MANY_REDIRECTS'

/** Says why no final answer was reached; the operation itself goes on, and `location` leads back to it. */
export class FollowError extends Error {
  override readonly name = 'FollowError'
  readonly code: Code
  /** The operation, where it is known; with ERR_FOREIGN_ORIGIN the address that was refused. */
  readonly location: string | undefined

  constructor(code: Code, message: string, location?: string) {
    super(message)
    this.code = code
    this.location = location
  }
}

interface Run {
  readonly options: FollowOptions
  /** The one origin that gets the caller's headers. */
  readonly origin: string
  readonly signal: AbortSignal
  /** The operation; what is found elsewhere, behind a 303, is its own answer, whatever that says. */
  location?: string
}

// They belong to the first request and mean nothing, or something else, on a poll.
const FIRST_ONLY = /^(content-.*|if-.*|prefer|idempotency-key|expect|range|transfer-encoding)$/

/**
 * Sends a request as `fetch` does and resolves to its final answer, also when the server says 202 first.
 * Answers of 4xx and 5xx are answers; it rejects as `fetch` does, with the reason of `signal`, or with a `FollowError`.
 * @example
 * const response = await follow('https://api.example/users', { method: 'POST', body, headers, idempotencyKey: true })
 */
export function follow(url: string | URL, options: FollowOptions = {}): Promise<Response> {
  return withRun(url, options, async (run, first) => {
    const response = await sendFirst(run, first)
    if (!isAccepted(response)) return response
    const operation = await readOperation(response)
    const reference = statusReference(response, operation)
    if (reference === undefined) throw new FollowError('ERR_NO_LOCATION', 'The 202 does not say where its operation is')
    const status = resolve(run, reference, response.url || first)
    run.location = status.href
    await options.onAccepted?.({ location: status.href, operation })
    await pause(run, 0, response)
    return poll(run, status)
  })
}

/** Follows an operation from its saved location to the final answer, as `follow` would have done. */
export function resume(location: string | URL, options: ResumeOptions = {}): Promise<Response> {
  return withRun(location, options, poll)
}

/** Refuses what would be sent, or counted, as something else; nothing is sent then. */
function checkOptions({ prefer, idempotencyKey: key, ...numbers }: FollowOptions): void {
  const { waitSeconds = 0, longPollSeconds = 0, retries = 0, deadlineMs = 0 } = numbers
  for (const [name, value] of Object.entries({ waitSeconds, longPollSeconds, retries }))
    check([name, value], Number.isSafeInteger(value) && value >= 0, 'a whole number from 0 on')
  const isTime = typeof deadlineMs === 'number' && deadlineMs >= 0
  check(['deadlineMs', deadlineMs], isTime, 'a number from 0 on, or Infinity')
  check(['prefer', prefer], prefer === undefined || prefer === 'respond-async', '"respond-async"')
  const isKey = key === undefined || key === true || (typeof key === 'string' && /^[ -~]{1,255}$/.test(key))
  check(['idempotencyKey', key], isKey, '1 to 255 printable ASCII characters, or true')
  const { allowOrigins } = numbers
  // In a text any part of it would be found.
  check(['allowOrigins', allowOrigins], allowOrigins === undefined || Array.isArray(allowOrigins), 'a list of origins')
}

function check([name, got]: readonly [name: string, got: unknown], isValid: boolean, expected: string): void {
  const shown = typeof got === 'string' ? `"${got}"` : String(got)
  if (!isValid) throw new FollowError('ERR_CONFIG', `${name}: expected ${expected}, got ${shown}`)
}

async function withRun(input: string | URL, options: FollowOptions, work: typeof poll): Promise<Response> {
  checkOptions(options)
  const page = (globalThis as { location?: { href: string } }).location?.href
  check(['url', input], URL.canParse(String(input), page), 'an absolute URL')
  const url = new URL(input, page)
  const { deadlineMs = 3_600_000 } = options
  const deadline = new AbortController()
  // The caller's signal goes on to fetch, because it governs the body of the final answer too; the deadline does not.
  const signal = options.signal ? AbortSignal.any([options.signal, deadline.signal]) : deadline.signal
  const run: Run = { options, origin: url.origin, signal }
  const expire = () =>
    deadline.abort(new FollowError('ERR_DEADLINE', `No final answer in ${deadlineMs} ms`, run.location))
  // setTimeout would fire at once for anything longer than 24.8 days.
  const timer = deadlineMs < 2 ** 31 ? setTimeout(expire, deadlineMs) : undefined
  try {
    return await work(run, url)
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    clearTimeout(timer)
  }
}

async function sendFirst(run: Run, url: URL): Promise<Response> {
  const { method = 'GET', body, retries = 2 } = run.options
  const headers = firstHeaders(run.options)
  const isRepeatable = headers.has('idempotency-key') || /^(GET|HEAD|OPTIONS)$/i.test(method)
  // A stream is used up by the first attempt.
  const last = typeof body === 'object' && body !== null && Symbol.asyncIterator in body ? 0 : retries
  for (let attempt = 0; ; attempt++) {
    const response = await send(run, url, { headers }).catch((error: unknown) => {
      if (attempt >= last || !isRepeatable) throw error
      return undefined
    })
    if (response && (attempt >= last || !(await isRefused(response, isRepeatable)))) return response
    await pause(run, attempt, response)
  }
}

function firstHeaders({ headers: given, prefer, waitSeconds, idempotencyKey }: FollowOptions): Headers {
  const headers = new Headers(given)
  if (prefer !== undefined) headers.append('prefer', prefer)
  if (waitSeconds !== undefined) headers.append('prefer', `wait=${waitSeconds}`)
  if (idempotencyKey === undefined) return headers
  const key = idempotencyKey === true ? crypto.randomUUID() : idempotencyKey
  headers.set('idempotency-key', `"${key.replace(/["\\]/g, '\\$&')}"`)
  return headers
}

/** Tells a refusal of the first request that is safe to try again from an answer that stands. */
async function isRefused(response: Response, isRepeatable: boolean): Promise<boolean> {
  if (response.status !== 429 && response.status !== 503) return false
  const outcome = (await readProblem(response))?.outcome
  return outcome !== 'failed' && (isRepeatable || response.status === 429 || outcome === 'not-accepted')
}

async function poll(run: Run, start: URL): Promise<Response> {
  run.location = start.href
  let url = start
  for (let pauses = 0, redirects = 0; ; ) {
    const response = await ask(run, url)
    const next = response ? await judge(run, url, response) : 'later'
    if (response && next === 'final') return response
    if (next instanceof URL) {
      if (++redirects > 20) throw new FollowError('ERR_TOO_MANY_REDIRECTS', `Led on to ${next.href}`, run.location)
      url = next
      discard(response)
    } else {
      redirects = 0
      await pause(run, pauses++, response)
    }
  }
}

async function ask(run: Run, url: URL): Promise<Response | undefined> {
  const { headers: given, longPollSeconds = 20, credentials } = run.options
  const isOwn = url.origin === run.origin
  const headers = new Headers(isOwn ? given : undefined)
  for (const name of [...headers.keys()]) if (FIRST_ONLY.test(name)) headers.delete(name)
  // The caller's Accept is about the result, which may be no JSON; the status document always is.
  if (headers.has('accept')) headers.append('accept', 'application/json;q=0.1')
  if (longPollSeconds > 0) headers.set('prefer', `wait=${longPollSeconds}`)
  const init = { method: 'GET', body: null, headers, credentials: isOwn ? credentials : 'omit' } as RequestInit
  const get = (redirect: 'manual' | 'follow') => send(run, url, { ...init, redirect }).catch(() => undefined)
  const response = await get('manual')
  if (response?.type !== 'opaqueredirect') return response
  // Browsers hide where a manual redirect leads; when they follow it they leave Authorization out across origins.
  const followed = await get('follow')
  if (followed?.redirected) resolve(run, followed.url, url)
  return followed
}

/** Says what the answer to a poll means: the final one, ask the same address later, or ask another one at once. */
async function judge(run: Run, url: URL, response: Response): Promise<URL | 'final' | 'later'> {
  const base = response.url || url
  const isResult = url.href !== run.location || response.redirected
  const location = response.headers.get('location')
  if (response.status >= 300 && response.status < 400 && location !== null) {
    const next = resolve(run, location, base)
    if (response.status !== 303 && !isResult) run.location = next.href
    return next
  }
  if (isAccepted(response) || !isResult) {
    const operation = await readOperation(response)
    if (operation) await run.options.onStatus?.(operation)
    if (isAccepted(response) || operation?.status === 'running') return 'later'
    if (typeof operation?.links?.result === 'string') return resolve(run, operation.links.result, base)
  }
  return (await isTransient(response, isResult)) ? 'later' : 'final'
}

/** Tells a poll that failed on its way from a failure that is the operation's own answer. */
async function isTransient(response: Response, isResult: boolean): Promise<boolean> {
  if (response.status !== 429 && response.status < 500) return false
  const problem = await readProblem(response)
  if (problem?.outcome === 'failed') return false
  // A refusal always has Retry-After and a replayed problem never; a 502 to 504 that is no problem is an intermediary's.
  return !isResult || response.headers.has('retry-after') || (problem === undefined && response.status > 501)
}

function resolve({ origin, options }: Run, reference: string, base: string | URL): URL {
  const url = new URL(reference, base)
  if (url.origin === origin || options.allowOrigins?.includes(url.origin)) return url
  throw new FollowError('ERR_FOREIGN_ORIGIN', `Led to ${url.origin}, which allowOrigins does not name`, url.href)
}

async function send({ options, signal }: Run, url: URL, init: RequestInit): Promise<Response> {
  // A browser's fetch refuses to be called as a method of another object.
  const { fetch: call = fetch } = options
  return call(url.href, { ...options, ...init, signal })
}

/** Waits as Retry-After says, else 1 s growing to 10 s, always a little more so that callers spread out. */
function pause({ signal }: Run, count: number, response?: Response): Promise<void> {
  discard(response)
  const asked = (response && retryAfterMs(response)) ?? Math.min(1000 * 1.5 ** count, 10_000)
  // Never below 20 ms: a server that says 0 and does not hold polls must not be flooded.
  const ms = Math.max(asked, 20) * (1 + Math.random() / 10)
  return new Promise((done, reject) => {
    const stop = () => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      done()
    }, ms)
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
  })
}

// An unread body would hold its connection.
const discard = (response?: Response) => response?.body?.cancel().catch(() => undefined)
