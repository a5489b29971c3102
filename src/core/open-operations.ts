import { GatewayError } from './errors.js'
import { Running } from './running.js'

/** Who an operation counts for. */
export interface Owner {
  readonly command: string
  readonly principal: string | undefined
  /** Limit of the command; undefined for none. */
  readonly maxPerCommand: number | undefined
}

/** Limits of operations that run at the same time. */
export interface OpenLimits {
  readonly maxOpen: number
  readonly maxPerPrincipal: number | undefined
}

/**
 * The operations that this gateway started and that are, as far as it has seen, still running: what the limits count.
 * An end that another instance decided may go unseen, so an entry is dropped when its operation must have expired.
 */
export class OpenOperations {
  readonly #limits: OpenLimits
  readonly #running: Running
  readonly #perCommand = new Map<string, number>()
  readonly #perPrincipal = new Map<string, number>()

  #size = 0

  constructor(limits: OpenLimits, running = new Running()) {
    this.#limits = limits
    this.#running = running
  }

  get size(): number {
    return this.#size
  }

  has(id: string): boolean {
    return this.#running.get(id)?.open !== undefined
  }

  /** The command of an operation that is counted here. */
  commandOf(id: string): string | undefined {
    return this.#running.get(id)?.open?.command
  }

  /**
   * Counts one more operation, before anything is written for it.
   * @throws GatewayError ERR_OVERLOADED at the gateway's limit, ERR_TOO_MANY_REQUESTS at the caller's or command's.
   */
  open(id: string, owner: Owner, until: number): void {
    const { command, principal, maxPerCommand } = owner
    if (this.#size >= this.#limits.maxOpen) throw refused('ERR_OVERLOADED', 'The gateway', this.#limits.maxOpen)
    const ofCommand = this.#perCommand.get(command) ?? 0
    if (maxPerCommand !== undefined && ofCommand >= maxPerCommand) {
      throw refused('ERR_TOO_MANY_REQUESTS', `The command ${command}`, maxPerCommand)
    }
    const { maxPerPrincipal } = this.#limits
    if (maxPerPrincipal !== undefined && principal !== undefined) {
      const ofPrincipal = this.#perPrincipal.get(principal) ?? 0
      if (ofPrincipal >= maxPerPrincipal) throw refused('ERR_TOO_MANY_REQUESTS', 'The caller', maxPerPrincipal)
      this.#perPrincipal.set(principal, ofPrincipal + 1)
    }
    this.#perCommand.set(command, ofCommand + 1)
    // As an integer, which takes no object of its own on the heap.
    this.#running.enter(id).open = { command, principal, until: Math.ceil(until), isBeingPublished: false }
    this.#size += 1
  }

  /** Whether the first publish of an operation's request event has not settled yet. */
  isBeingPublished(id: string): boolean {
    return this.#running.get(id)?.open?.isBeingPublished === true
  }

  /** Notes that it begins, or has settled; of an operation that has ended nothing is noted. */
  setBeingPublished(id: string, value: boolean): void {
    const open = this.#running.get(id)?.open
    if (open !== undefined) open.isBeingPublished = value
  }

  /** The operation has ended, or was never created. */
  close(id: string): void {
    const entry = this.#running.get(id)
    if (entry?.open === undefined) return
    const { command, principal } = entry.open
    entry.open = undefined
    this.#running.leave(id, entry)
    this.#size -= 1
    decrement(this.#perCommand, command)
    if (principal !== undefined) decrement(this.#perPrincipal, principal)
  }

  /** Drops what must have expired by now; entries are in the order of their ends, as all live equally long. */
  prune(now: number): void {
    for (const [id, { open }] of this.#running.entries()) {
      if (open === undefined) continue
      if (open.until > now) return
      this.close(id)
    }
  }
}

function decrement(counts: Map<string, number>, key: string): void {
  const count = counts.get(key)
  if (count === undefined) return
  if (count > 1) counts.set(key, count - 1)
  else counts.delete(key)
}

function refused(code: 'ERR_OVERLOADED' | 'ERR_TOO_MANY_REQUESTS', who: string, limit: number): GatewayError {
  const text = `${who} has ${limit} running operations, which is the limit; nothing was started.`
  return new GatewayError(code, text, { outcome: 'not-accepted' })
}
