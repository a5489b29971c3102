import type { Clock } from '../../core/clock.js'
import { GatewayError } from '../../core/errors.js'
import type { EventMessage } from '../../core/event.js'
import { Fifo } from '../../core/fifo.js'
import type { Delivery, Reading, Settlement } from '../../core/transport.js'
import type { Entry, Member } from './member.js'

/** What a group is, and what it needs of the transport around it. */
export interface GroupOptions {
  readonly kind: Reading['kind']
  /** How many unsettled messages it may have. */
  readonly limit: number
  readonly clock: Clock
  /** The log that replays are positioned in. */
  readonly log: string
  /** Asks for `pump` in the next turn of the event loop. */
  wake(group: Group): void
  park(message: EventMessage): void
}

const FIRST: Delivery = Object.freeze({ attempt: 1 })
// What a group hands out in one turn of the event loop, so that a long queue starves nobody.
const BATCH = 1024

/** A copy of a channel and the readers that share it; the readings `own` and `replay` are groups of one. */
export class Group {
  members: readonly Member[] = []
  readonly kind: Reading['kind']
  readonly #options: GroupOptions
  readonly #queues = new Map<string, Fifo<Entry>>()
  /** How many messages are queued, with a member, or waiting to be tried again. */
  #unsettled = 0
  /** Grows with every member that was asked, so that the next one is asked first the next time. */
  #turn = 0
  /** What is left of the batch of this turn of the event loop. */
  #budget = 0

  constructor(options: GroupOptions) {
    this.#options = options
    this.kind = options.kind
  }

  /** True while messages are kept for it: a shared group outlives its members, the others do not. */
  get open(): boolean {
    return this.kind === 'shared' || this.members.length > 0
  }

  get full(): boolean {
    return this.#unsettled >= this.#options.limit
  }

  /** The queue of one type: members need not take the same types, and none waits behind what it does not take. */
  queue(type: string): Fifo<Entry> {
    const queue = this.#queues.get(type) ?? new Fifo<Entry>()
    this.#queues.set(type, queue)
    return queue
  }

  /** Takes a message, and leaves it for the next turn of the event loop. */
  push(queue: Fifo<Entry>, message: EventMessage, number: number): void {
    if (this.kind === 'replay' && this.full) this.#fallBehind()
    this.#unsettled += 1
    queue.push({ message, number, attempt: 1, queue })
    this.#options.wake(this)
  }

  /** Adds a reader; messages up to the number `newest` are its history. */
  join(member: Member, newest: number): void {
    this.members = [...this.members, member]
    member.expect(this.#unsettled, newest)
    this.#options.wake(this)
  }

  /** Removes a reader; what it has in hand is settled by its handlers, the rest was never out of the queues. */
  leave(member: Member, reason = 'The reader was closed before it had caught up.'): Promise<void> {
    this.members = this.members.filter((other) => other !== member)
    return member.close(new GatewayError('ERR_CLOSED', reason))
  }

  /** Hands messages to the members in turn, until there is none or no room. */
  pump(): void {
    this.#budget = BATCH
    for (let idle = 0; idle < this.members.length && this.#budget > 0; this.#turn += 1) {
      const member = this.members[this.#turn % this.members.length]
      idle = member !== undefined && this.#hand(member) ? 0 : idle + 1
    }
    if (this.#budget === 0) this.#options.wake(this)
  }

  #hand(member: Member): boolean {
    const entry = member.take()
    if (entry === undefined) return false
    this.#budget -= 1
    // A settled message makes room, which is used at once: waiting for the next turn would cost throughput.
    member.call(entry.message, this.#delivery(entry), (settlement) => {
      this.#settle(member, entry, settlement)
      while (this.#budget > 0 && this.#hand(member));
      if (this.#budget === 0) this.#options.wake(this)
    })
    return true
  }

  #delivery({ attempt, number }: Entry): Delivery {
    if (this.kind === 'replay') return { attempt, position: `${number}@${this.#options.log}` }
    return attempt === 1 ? FIRST : { attempt }
  }

  /** An own reader's settlement changes nothing, and a replay can neither lose nor park a message. */
  #settle(member: Member, entry: Entry, settlement: Settlement): void {
    if (settlement === 'requeue' && this.kind !== 'own') {
      this.#retry(member, entry)
      return
    }
    if (settlement === 'park' && this.kind === 'shared') this.#options.park(entry.message)
    this.#unsettled -= 1
    for (const each of this.members) each.handled(entry.number)
  }

  // A gap in a replay would never be noticed, so it ends where it would get one.
  #fallBehind(): void {
    const reason = `A replay was ended: it is ${this.#unsettled} results behind (option maxQueued).`
    for (const member of this.members) {
      void this.leave(member, reason)
      member.end(new GatewayError('ERR_OVERLOADED', reason))
    }
    process.emitWarning(reason)
  }

  /** Tries again after 10 ms, 20 ms, 40 ms up to 1 s; a replay stands still meanwhile, a shared group goes on. */
  #retry(member: Member, entry: Entry): void {
    const again = { ...entry, attempt: entry.attempt + 1 }
    const inOrder = this.kind === 'replay'
    if (inOrder) member.concurrency = 0
    const enqueue = (): void => {
      if (inOrder) {
        member.concurrency = 1
        entry.queue.unshift(again)
      } else entry.queue.push(again)
      this.#options.wake(this)
    }
    this.#options.clock.setTimer(enqueue, Math.min(10 * 2 ** (entry.attempt - 1), 1000))
  }
}
