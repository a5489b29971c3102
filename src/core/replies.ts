import type { Reply } from './command.js'
import { type Event, toEvent } from './event.js'
import { lookAgain } from './last-look.js'
import type { Because } from './lifecycle.js'
import { begin, isEnded, type Operation } from './operation.js'
import type { GatewayParts } from './parts.js'
import type { EndListener, WaitEnd } from './pending-request.js'

/** Answers the one who asked; a rejection is passed on by a promise that rejects. */
export type Settle = (reply: Reply | Promise<Reply>) => void

/** What a wait knows of its operation. */
type Known = Pick<Operation, 'id' | 'command' | 'principal' | 'createdAt'>

/** Makes of the end of a wait what the one who asked is told. */
export class Replies {
  readonly #parts: GatewayParts

  constructor(parts: GatewayParts) {
    this.#parts = parts
  }

  /** The reply is there at once where the end says it all, as it nearly always does. */
  to(end: WaitEnd, known: Known, because: Because): Reply | Promise<Reply> {
    if (end.kind === 'changed') return replyOf(end.operation, undefined, end.event)
    if (end.kind === 'gone') {
      this.#parts.lifecycle.note('gone', { id: known.id })
      return Promise.reject(end.reason)
    }
    if (end.kind === 'doubtful') return Promise.reject(end.error)
    return this.#lookAgain(known, end.kind === 'due' ? because : end.kind)
  }

  /** How the operation stands; as it was last seen, or else created, when the store cannot say so soon. */
  async look(known: Known | Operation): Promise<Operation> {
    const lastSeen = 'state' in known ? known : undefined
    return (await lookAgain(this.#parts, known.id, lastSeen)) ?? lastSeen ?? this.#asCreated(known)
  }

  #asCreated(known: Known): Operation {
    const { operationTtlMs: ttlMs, retentionMs } = this.#parts.settings
    return begin({ ...known, ttlMs, retentionMs }, known.createdAt)
  }

  /** The caller no longer needs the operation. */
  release(id: string): void {
    this.#parts.release(id)
  }

  /** The result may be there although nobody was woken. */
  async #lookAgain(known: Known, because: Because): Promise<Reply> {
    const operation = await this.look(known)
    if (isEnded(operation)) return replyOf(operation)
    this.#parts.lifecycle.note('deferred', { operation, because })
    return { kind: 'accepted', operation, because }
  }
}

/** What is left of a request while it waits: no more than this, as there may be a million of them. */
export class Wait implements EndListener {
  readonly id: string
  readonly command: string
  readonly principal: string | undefined
  readonly createdAt: number
  readonly #replies: Replies
  readonly #because: Because
  readonly #settle: Settle

  constructor(
    replies: Replies,
    operation: Operation,
    { because, settle }: { readonly because: Because; readonly settle: Settle },
  ) {
    this.id = operation.id
    this.command = operation.command
    this.principal = operation.principal
    this.createdAt = operation.createdAt
    this.#replies = replies
    this.#because = because
    this.#settle = settle
  }

  onEnd(end: WaitEnd): void {
    const reply = this.#replies.to(end, this, this.#because)
    this.#settle(reply)
    const release = () => this.#replies.release(this.id)
    if (reply instanceof Promise) reply.then(release, release)
    else release()
  }
}

/** What an ended operation means for whoever asked for it. */
export function replyOf(operation: Operation, replayed?: true, seen?: Event): Reply {
  const { result } = operation
  if (result === undefined) return { kind: 'ended', operation, ...(replayed && { replayed }) }
  const event = seen ?? toEvent(result)
  return replayed ? { kind: 'completed', event, operation, replayed } : { kind: 'completed', event, operation }
}
