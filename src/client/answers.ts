/** The status document of an operation; members this client does not know are kept as they came. */
export interface OperationDocument {
  id: string
  status: 'running' | 'succeeded' | 'failed' | 'canceled' | 'expired'
  links?: { self?: unknown; result?: unknown; [relation: string]: unknown }
  [member: string]: unknown
}

/** A problem of RFC 9457; extension members are kept, standard members of a wrong type are left out. */
export interface Problem {
  /** `about:blank` when the body names none. */
  type: string
  title?: string
  status?: number
  detail?: string
  instance?: string
  /** Whether the work may have been done: surely not, nobody knows, or it was tried and failed. */
  outcome?: 'not-accepted' | 'unknown' | 'failed'
  [member: string]: unknown
}

type Body = Record<string, unknown>

const STATUSES: unknown[] = ['running', 'succeeded', 'failed', 'canceled', 'expired']
const OUTCOMES: unknown[] = ['not-accepted', 'unknown', 'failed']

/** Tells whether an answer is a 202, so that the final answer is still to come. */
export function isAccepted(response: Response): boolean {
  return response.status === 202
}

/** Reads a problem document and leaves the body readable; resolves to `undefined` for any other answer. */
export async function readProblem(response: Response): Promise<Problem | undefined> {
  const body = await readObject(response, 'application/problem+json')
  return body && { type: 'about:blank', ...Object.fromEntries(Object.entries(body).filter(isUsable)) }
}

function isUsable([name, value]: [string, unknown]): boolean {
  if (name === 'status') return Number.isInteger(value)
  if (name === 'outcome') return OUTCOMES.includes(value)
  return typeof value === 'string' || !['type', 'title', 'detail', 'instance'].includes(name)
}

/** Reads a status document and leaves the body readable; resolves to `undefined` for any other answer. */
export async function readOperation(response: Response): Promise<OperationDocument | undefined> {
  const body = await readObject(response, 'application/json')
  return typeof body?.id === 'string' && STATUSES.includes(body.status) ? (body as OperationDocument) : undefined
}

async function readObject(response: Response, mediaType: string): Promise<Body | undefined> {
  const essence = response.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (essence !== mediaType || response.bodyUsed) return undefined
  // A body that breaks off or is no JSON says nothing: the status code alone decides then.
  const value: unknown = await response
    .clone()
    .json()
    .catch(() => undefined)
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Body) : undefined
}

/** Finds where a 202 says that its operation is; the reference may be relative to the answer's own address. */
export function statusReference({ headers }: Response, operation?: OperationDocument): string | undefined {
  const named = findLink(headers.get('link') ?? '', 'status') ?? headers.get('operation-location')
  // Across origins a browser shows only exposed headers, while the document names itself everywhere.
  const reference = named ?? headers.get('location') ?? operation?.links?.self
  return typeof reference === 'string' ? reference : undefined
}

// Each repetition begins with a character that nothing before it can match, so that matching stays linear.
const LINK = /[\s,]*<([^>]*)>((?:\s*;(?:\s*[^\s=;,"]+(?:\s*=(?:\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]+))?)?)?)*)\s*(?:,|$)/gy
const PARAMETER = /;\s*([^\s=;,"]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]+))?)?/g

/** Finds the target of the first link with this relation in a `Link` field (RFC 8288); stops at a malformed link. */
export function findLink(field: string, relation: string): string | undefined {
  for (const [, target, parameters = ''] of field.matchAll(LINK)) {
    const first = new Map<string, string>()
    for (const [, name = '', quoted, token = ''] of parameters.matchAll(PARAMETER)) {
      const key = name.toLowerCase()
      // RFC 8288 section 3.3: of several rel parameters only the first counts.
      if (!first.has(key)) first.set(key, quoted?.replace(/\\(.)/g, '$1') ?? token)
    }
    const relations = first.get('rel')?.toLowerCase().split(/\s+/)
    // A link with an anchor speaks of another resource than this answer.
    if (relations?.includes(relation) && !first.has('anchor')) return target
  }
  return undefined
}

// A day: a timer that is too long would fire at once.
const MAX_RETRY_AFTER_MS = 86_400_000

/** Reads how many milliseconds `Retry-After` asks for; `undefined` when it is absent or unusable. */
export function retryAfterMs({ headers }: Response): number | undefined {
  const value = headers.get('retry-after')?.trim() ?? ''
  if (/^\d+$/.test(value)) return Math.min(Number(value) * 1000, MAX_RETRY_AFTER_MS)
  // Date.parse takes `1.5` and `-1` as well; an HTTP-date begins with the name of a day and is always GMT.
  const until = /^[a-z]{3,9},? /i.test(value) ? Date.parse(value.endsWith('GMT') ? value : `${value} GMT`) : Number.NaN
  // Counted from the answer's own Date, so that the caller's clock may be wrong.
  const from = Date.parse(headers.get('date') ?? '') || Date.now()
  return Number.isNaN(until) ? undefined : Math.min(Math.max(0, until - from), MAX_RETRY_AFTER_MS)
}
