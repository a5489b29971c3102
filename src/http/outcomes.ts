import type { Outcome } from '../core/definition.js'
import type { Event } from '../core/event.js'
import type { Operation } from '../core/operation.js'
import { checkFunction, configError, refuseUnknown } from '../core/options.js'

/** What a result event becomes over HTTP. */
export interface HttpAnswer {
  readonly status: number
  /** Checked before it is sent: path-absolute, or on the gateway's own site. */
  readonly location?: string | undefined
  /** Checked before they are sent: framing, cookies and redirects are refused. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Sent as JSON. @default the data of the event, byte by byte */
  readonly body?: unknown
  /** Set for a problem document; the rest of it is filled in. */
  readonly problem?: ProblemInit | undefined
}

/** What a failure says of itself in its problem document. */
export interface ProblemInit {
  readonly status: number
  /** @default the problem base and the event's name */
  readonly type?: string
  /** @default the event's name in words */
  readonly title?: string
  readonly detail?: string
  /** What clients may read under `data`; null for nothing. @default the data of the event */
  readonly data?: unknown
}

/** What most outcomes can be told beside their status. */
export interface AnswerOptions<E extends Event> {
  readonly body?: (event: E) => unknown
  readonly headers?: (event: E) => Readonly<Record<string, string>>
}

type Locate<E extends Event> = (event: E, operation: Operation) => string

const LOCATE = "a function of the event and the operation, such as () => '/users'"
const PROBLEM_MEMBERS = ['status', 'type', 'title', 'detail', 'data'] as const satisfies readonly (keyof ProblemInit)[]

/** 201: something was created; its URL goes into `Location`. Without one, the target of the request was created. */
export function created<E extends Event>(location?: Locate<E>, options: AnswerOptions<E> = {}): Outcome<E> {
  checkFunction('the location of created()', location, LOCATE)
  checkOptions('created()', options)
  return succeeded((event, operation) =>
    answer(event, options, { status: 201, location: location?.(event, operation) }),
  )
}

/** 200 with the data of the event, or what `body` makes of it. */
export function ok<E extends Event>(options: AnswerOptions<E> = {}): Outcome<E> {
  checkOptions('ok()', options)
  return succeeded((event) => answer(event, options, { status: 200 }))
}

/** 204: done, and there is nothing to say about it. */
export function noContent<E extends Event>(options: Pick<AnswerOptions<E>, 'headers'> = {}): Outcome<E> {
  checkOptions('noContent()', options, ['headers'])
  return succeeded((event) => answer(event, options, { status: 204 }))
}

/** 303: the answer is another resource, such as one that existed already. */
export function seeOther<E extends Event>(location: Locate<E>, options: AnswerOptions<E> = {}): Outcome<E> {
  if (typeof location !== 'function') throw configError('the location of seeOther()', location, LOCATE)
  checkOptions('seeOther()', options)
  return succeeded((event, operation) => answer(event, options, { status: 303, location: location(event, operation) }))
}

/**
 * A failure as a problem document (RFC 9457), given by its status, from 400 to 599, or by more of its members.
 * @throws GatewayError ERR_CONFIG when it is given another status, or a member that does not exist.
 */
export function problem<E extends Event>(
  init: number | ProblemInit | ((event: E) => number | ProblemInit),
  options: Pick<AnswerOptions<E>, 'headers'> = {},
): Outcome<E> {
  if (typeof init === 'object') refuseUnknown(init, PROBLEM_MEMBERS, 'problem()')
  checkOptions('problem()', options, ['headers'])
  const fixed = typeof init === 'object' ? init.status : init
  if (typeof fixed !== 'function' && !(Number.isInteger(fixed) && fixed >= 400 && fixed <= 599)) {
    throw configError('the status of a problem', fixed, 'a whole number from 400 to 599')
  }
  return {
    state: 'failed',
    answer: (event: E): HttpAnswer => {
      const made = typeof init === 'function' ? init(event) : init
      const full = typeof made === 'object' ? made : { status: made }
      return { status: full.status, headers: options.headers?.(event), problem: full }
    },
  }
}

/** Refuses when the outcome is made what would be ignored, or fail, when its first result comes. */
function checkOptions(outcome: string, options: object, names: readonly string[] = ['body', 'headers']): void {
  refuseUnknown(options, names, outcome)
  for (const [name, value] of Object.entries(options)) checkFunction(`${name} of ${outcome}`, value)
}

function succeeded<E extends Event>(make: (event: E, operation: Operation) => HttpAnswer): Outcome<E> {
  return { state: 'succeeded', answer: make }
}

function answer<E extends Event>(
  event: E,
  { body, headers }: AnswerOptions<E>,
  { status, location }: Pick<HttpAnswer, 'status' | 'location'>,
): HttpAnswer {
  return { status, location, headers: headers?.(event), body: body && (body(event) ?? null) }
}
