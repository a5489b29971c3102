import { isGatewayError, type Operation, type Reply } from '../../../src/index.js'
import { ConnectionLost } from './process.js'

/** How a request ended for its client, in the sense of Jepsen: `lost` and `unknown` may have happened or not. */
export type RequestEnd = 'answered' | 'not-accepted' | 'unknown' | 'left' | 'lost' | 'failed'

/** One try of one request. */
export interface Try {
  /** What the client wants; several tries with one key have the same. */
  readonly n: number
  readonly key: string | undefined
  readonly waitMs: number
  readonly startedAt: number
  endedAt?: number
  /** How long the gateway stood still meanwhile, which excuses it. */
  stillMs?: number
  end?: RequestEnd
  error?: unknown
}

/** What somebody was told of an operation. */
export interface Sighting {
  readonly id: string
  readonly startedAt: number
  readonly endedAt: number
  /** Undefined when there was no such operation. */
  readonly operation: Operation | undefined
}

/** When a gateway asked for the record of an operation, and when it had it. */
export interface Queued {
  readonly id: string
  readonly askedAt: number
  readonly takenAt: number
}

/** All that clients and workers have seen. */
export class History {
  readonly tries: Try[] = []
  readonly sightings: Sighting[] = []
  /** Operations that a client was promised. */
  readonly accepted = new Set<string>()
  /** What workers carried out: by operation, what was wanted and under which message ids it came. */
  readonly executed = new Map<string, { readonly n: number; readonly messageIds: Set<string> }>()
  /** Operations with one ordering key, as one gateway took them on. */
  readonly queues = new Map<string, Queued[]>()
  /** When the broker got the request event of each operation for the first time. */
  readonly published = new Map<string, number>()

  answered(attempt: Try, reply: Reply, now: number): void {
    Object.assign(attempt, { endedAt: now, end: 'answered' })
    const { operation } = reply
    this.accepted.add(operation.id)
    const result = reply.kind === 'completed' ? reply.event : undefined
    // What counts is the event that was handed out, whatever the operation beside it says.
    const seen = { ...operation, result: result && { ...result, id: result.id } }
    this.saw({ id: operation.id, startedAt: attempt.startedAt, endedAt: now, operation: seen as Operation })
  }

  failed(attempt: Try, error: unknown, now: number): void {
    Object.assign(attempt, { endedAt: now, end: endOf(error), error })
  }

  saw(sighting: Sighting): void {
    this.sightings.push(sighting)
  }

  /** A gateway takes on an operation; those of one queue have to be published in order. */
  queued(queue: string, operation: Queued): void {
    this.queues.set(queue, [...(this.queues.get(queue) ?? []), operation])
  }

  ran(id: string, n: number, messageId: string): void {
    const known = this.executed.get(id) ?? { n, messageIds: new Set() }
    known.messageIds.add(messageId)
    this.executed.set(id, known)
  }
}

function endOf(error: unknown): RequestEnd {
  if (error instanceof ConnectionLost) return 'lost'
  if (error === LEFT) return 'left'
  if (!isGatewayError(error)) return 'failed'
  return error.details.outcome ?? 'failed'
}

/** Why clients leave. */
export const LEFT = new Error('The client has left.')
