import { GatewayError } from './errors.js'

/** Who an operation counts for. */
export interface Owner {
  readonly command: string
  readonly principal: string | undefined
  /** Limit of the command; undefined for none. */
  readonly maxPerCommand: number | undefined
}

type Entry = Pick<Owner, 'command' | 'principal'> & {
  readonly until: number
  /** The first publish of its request event is under way. */
  isBeingPublished: boolean
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
  readonly #entries = new Map<string, Entry>()
  readonly #perCommand = new Map<string, number>()
  readonly #perPrincipal = new Map<string, number>()

  constructor(limits: OpenLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#entries.size
  }

  has(id: string): boolean {
    return this.#entries.has(id)
  }

  /** The command of an operation that is counted here. */
  commandOf(id: string): string | undefined {
    return this.#entries.get(id)?.command
  }

  /**
   * Counts one more operation, before anything is written for it.
   * @throws GatewayError ERR_OVERLOADED at the gateway's limit, ERR_TOO_MANY_REQUESTS at the caller's or command's.
   */
  open(id: string, owner: Owner, until: number): void {
    const { command, principal, maxPerCommand } = owner
    if (this.#entries.size >= this.#limits.maxOpen) throw refused('ERR_OVERLOADED', 'The gateway', this.#limits.maxOpen)
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
    this.#entries.set(id, { command, principal, until, isBeingPublished: false })
  }

  /** Whether the first publish of an operation's request event has not settled yet. */
  isBeingPublished(id: string): boolean {
    return this.#entries.get(id)?.isBeingPublished === true
  }

  /** Notes that it begins, or has settled; of an operation that has ended nothing is noted. */
  setBeingPublished(id: string, value: boolean): void {
    const entry = this.#entries.get(id)
    if (entry !== undefined) entry.isBeingPublished = value
  }

  /** The operation has ended, or was never created. */
  close(id: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    this.#entries.delete(id)
    decrement(this.#perCommand, entry.command)
    if (entry.principal !== undefined) decrement(this.#perPrincipal, entry.principal)
  }

  /** Drops what must have expired by now; entries are in the order of their ends, as all live equally long. */
  prune(now: number): void {
    for (const [id, { until }] of this.#entries) {
      if (until > now) return
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
