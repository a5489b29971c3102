/** One documented request with the answer that is documented for it. */
export interface DocumentedRequest {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** `{NAME}` stands for the Location that an earlier answer was saved under. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body?: unknown
  readonly expect: Expected
  /** Keeps the Location of the answer under this name. */
  readonly save?: string
  /** Sends the request again, a second later, while it gets this status. */
  readonly againWhile?: number
}

/** What an answer must look like. */
export interface Expected {
  readonly status: number
  readonly headers?: Readonly<Record<string, string | RegExp>>
  /** Members that the JSON must have, among others. */
  readonly json?: Readonly<Record<string, unknown>>
  readonly text?: RegExp
}

/** Requests that belong together, in their order. */
export interface Scenario {
  readonly title: string
  readonly requests: readonly DocumentedRequest[]
}

const OPERATION = /^\/operations\/[0-9A-Z]{26}$/
const USER = /^\/users\/[0-9A-Z]{26}$/

/** The documented requests, for a gateway that waits so long. */
export function documentedScenarios(waitMs: number): readonly Scenario[] {
  return [...inTime(waitMs), ...deferred(waitMs), ...repeated(), ...unhappy()]
}

function inTime(waitMs: number): Scenario[] {
  const seconds = Math.ceil(waitMs / 1000) + 3
  return [
    {
      title: 'The result comes in time: 201, as if nothing were asynchronous',
      requests: [
        post({ username: 'ada', age: 36 }, { save: 'CREATED', expect: created({ username: 'ada', age: 36 }) }),
        get('{CREATED}', { expect: { status: 200, json: { username: 'ada', age: 36 } } }),
      ],
    },
    {
      title: 'A negative result: 409',
      requests: [
        post({ username: 'ada' }, { expect: failed(409, { code: 'CreateUser::UserNotCreated', retry: 'no' }) }),
      ],
    },
    {
      title: `Prefer: wait, for a client that can wait longer than the ${waitMs} ms of this gateway`,
      requests: [
        post(
          { username: 'grace', simulate: { delayMs: waitMs + 500 } },
          {
            headers: { Prefer: `wait=${seconds}` },
            expect: created({ username: 'grace' }, { 'preference-applied': `wait=${seconds}` }),
          },
        ),
      ],
    },
  ]
}

function deferred(waitMs: number): Scenario[] {
  return [
    {
      title: 'Prefer: respond-async: 202 at once',
      requests: [post({ username: 'edsger' }, { headers: ASYNC, save: 'OPERATION', expect: accepted(APPLIED) })],
    },
    {
      title: 'The result is late: 202, then polling until 303 leads to the result',
      requests: [
        post({ username: 'barbara', simulate: { delayMs: waitMs + 1200 } }, { save: 'OPERATION', expect: accepted() }),
        get('{OPERATION}', { expect: { status: 202, headers: { 'retry-after': '1' }, json: { status: 'running' } } }),
        get('{OPERATION}', { againWhile: 202, expect: done() }),
        get('{OPERATION}/result', { expect: created({ username: 'barbara' }) }),
      ],
    },
    {
      title: 'Long poll: the answer comes as soon as the operation has ended',
      requests: [
        post(
          { username: 'donald', simulate: { delayMs: waitMs + 500 } },
          { headers: ASYNC, save: 'OPERATION', expect: accepted(APPLIED) },
        ),
        get('{OPERATION}', { headers: { Prefer: 'wait=20' }, expect: done() }),
      ],
    },
    {
      title: 'Stream: every change as a server-sent event, the end last',
      requests: [
        post(
          { username: 'alan', simulate: { delayMs: waitMs + 500 } },
          { headers: ASYNC, save: 'OPERATION', expect: accepted(APPLIED) },
        ),
        get('{OPERATION}', {
          headers: { Accept: 'text/event-stream' },
          expect: {
            status: 200,
            headers: { 'content-type': 'text/event-stream; charset=utf-8' },
            text: /event: status.*"status":"running".*"progress":\{"percent":50\}.*"status":"succeeded"/s,
          },
        }),
      ],
    },
  ]
}

function repeated(): Scenario[] {
  const body = { username: 'tony' }
  const headers = { 'Idempotency-Key': '"7f3c"' }
  const replayed = { 'idempotent-replayed': 'true', location: '{CREATED}' }
  return [
    {
      title: 'Idempotent retry: the same key gives the same answer and creates nothing again',
      requests: [
        post(body, { headers, save: 'CREATED', expect: created(body) }),
        post(body, { headers, expect: { ...created(body), headers: replayed } }),
        post({ username: 'niklaus' }, { headers, expect: failed(422, { code: 'ERR_IDEMPOTENCY_MISMATCH' }) }),
      ],
    },
    {
      title: 'Cancel',
      requests: [
        post(
          { username: 'ken', simulate: { delayMs: 60_000 } },
          { headers: ASYNC, save: 'OPERATION', expect: accepted(APPLIED) },
        ),
        { method: 'DELETE', path: '{OPERATION}', expect: { status: 200, json: { status: 'canceled' } } },
        get('{OPERATION}/result', { expect: failed(409, { code: 'ERR_OPERATION_CANCELED', retry: 'new-key' }) }),
      ],
    },
  ]
}

function unhappy(): Scenario[] {
  const errors = [{ detail: 'Invalid input: expected number, received string', pointer: '#/age' }]
  return [
    {
      title: 'What is not valid never reaches the worker: 422 that says where',
      requests: [
        post({ username: 'john', age: 'old' }, { expect: failed(422, { code: 'ERR_INVALID_INPUT', errors }) }),
      ],
    },
    {
      title: 'The worker reports an outage: 503, and the retry needs a new key',
      requests: [
        post(simulate('outage'), {
          expect: failed(503, { outcome: 'failed', retry: 'new-key' }, { 'retry-after': /^[1-4]$/ }),
        }),
      ],
    },
    {
      title: 'The worker answers garbage: 502',
      requests: [post(simulate('garbage'), { expect: failed(502, { code: 'ERR_MALFORMED_RESULT' }) })],
    },
    {
      title: 'The worker contradicts itself: the first answer stands',
      requests: [post(simulate('twice'), { expect: created({ username: 'twice' }) })],
    },
    {
      title: "Operations belong to whoever started them: somebody else's are 404",
      requests: [
        post(
          { username: 'adele' },
          { headers: { ...ASYNC, Authorization: 'Bearer alice' }, save: 'OPERATION', expect: accepted(APPLIED) },
        ),
        get('{OPERATION}', {
          headers: { Authorization: 'Bearer bob' },
          expect: failed(404, { code: 'ERR_OPERATION_NOT_FOUND' }),
        }),
      ],
    },
  ]
}

const ASYNC = { Prefer: 'respond-async' }
const APPLIED = { 'preference-applied': 'respond-async' }

type Options = Omit<DocumentedRequest, 'method' | 'path' | 'body'>

function post(body: unknown, options: Options): DocumentedRequest {
  return { method: 'POST', path: '/users', body, ...options }
}

function get(path: string, options: Options): DocumentedRequest {
  return { method: 'GET', path, ...options }
}

function simulate(outcome: string) {
  return { username: outcome, simulate: { outcome } }
}

function created(json: Expected['json'], headers: Expected['headers'] = {}): Expected {
  return { status: 201, headers: { location: USER, vary: /Prefer/, ...headers }, ...(json && { json }) }
}

function accepted(headers: Expected['headers'] = {}): Expected {
  const own = {
    location: OPERATION,
    'retry-after': '1',
    'cache-control': 'no-store',
    vary: /Prefer/,
    link: /rel="status"/,
  }
  return { status: 202, headers: { ...own, ...headers }, json: { status: 'running' } }
}

function done(): Expected {
  return { status: 303, headers: { location: '{OPERATION}/result' } }
}

function failed(status: number, json: Expected['json'], headers: Expected['headers'] = {}): Expected {
  return { status, headers: { 'content-type': 'application/problem+json', ...headers }, json: { status, ...json } }
}
