import { randomUUID } from 'node:crypto'
import { type Clock, systemClock } from '../../core/clock.js'
import { GatewayError } from '../../core/errors.js'
import type { EventMessage } from '../../core/event.js'
import { Fifo } from '../../core/fifo.js'
import { refuseUnknown } from '../../core/options.js'
import type {
  Channel,
  MessageHandler,
  PublishOptions,
  Reader,
  Reading,
  ReplayStart,
  Subscription,
  Transport,
} from '../../core/transport.js'
import { Group } from './group.js'
import { type Entry, Member } from './member.js'

/** Limits of a memory transport, in messages. */
export interface MemoryTransportOptions {
  /** Unsettled messages of one group: beyond, publishing is refused, and a replay ends. @default 100_000 */
  readonly maxQueued?: number
  /** Results kept for replays. @default 100_000 */
  readonly maxLog?: number
  /** Parked messages kept to be looked at, the newest ones. @default 1000 */
  readonly maxParked?: number
  readonly clock?: Clock
}

/** A message that no reader of its group could handle. */
export interface ParkedMessage {
  readonly message: EventMessage
  readonly group: string
}

/**
 * A message broker in this process, which several gateways and workers may share. Messages are handed over as they are,
 * not copied, so neither side may change them afterwards.
 */
export interface MemoryTransport extends Transport {
  readonly parked: readonly ParkedMessage[]
}

/** Makes a message broker that keeps what it has for as long as it is referenced, also while it is closed. */
export function memoryTransport(options: MemoryTransportOptions = {}): MemoryTransport {
  refuseUnknown(options, ['maxQueued', 'maxLog', 'maxParked', 'clock'], 'memoryTransport()')
  return new MemoryBroker(options)
}

interface Kept {
  readonly message: EventMessage
  readonly number: number
}

interface Route {
  readonly group: Group
  readonly queue: Fifo<Entry>
}

// Every reader of results gets all of them, so they share one route.
const RESULTS = ''
const NO_ROUTES: readonly Route[] = []
const DONE = Promise.resolve()

class MemoryBroker implements MemoryTransport {
  readonly name = 'memory'
  readonly durability = { class: 'process' } as const
  readonly #clock: Clock
  readonly #limits: { readonly maxQueued: number; readonly maxLog: number; readonly maxParked: number }
  readonly #routes = { requests: new Map<string, readonly Route[]>(), results: new Map<string, readonly Route[]>() }
  /** Groups outlive their readers: what is published in the meantime is kept for the next ones. */
  readonly #shared = new Map<string, Group>()
  readonly #log = new Fifo<Kept>()
  readonly #parked = new Fifo<ParkedMessage>()
  #woken = new Set<Group>()
  /** In positions, so that those of another process, whose log is gone with it, are none of this one. */
  readonly #logName = randomUUID().slice(0, 8)
  /** The number of the newest message on any channel; positions of replays have such numbers. */
  #newest = 0
  /** The number of the newest result that the log no longer has. */
  #dropped = 0
  #users = 0

  constructor({
    clock = systemClock,
    maxQueued = 100_000,
    maxLog = 100_000,
    maxParked = 1000,
  }: MemoryTransportOptions) {
    for (const [name, value] of Object.entries({ maxQueued, maxLog, maxParked })) {
      if (Number.isSafeInteger(value) && value >= 0) continue
      throw new GatewayError('ERR_CONFIG', `memoryTransport: ${name} must be a whole number from 0 on, not ${value}.`)
    }
    this.#clock = clock
    this.#limits = { maxQueued, maxLog, maxParked }
  }

  get parked(): readonly ParkedMessage[] {
    return this.#parked.values()
  }

  async start(): Promise<void> {
    this.#users += 1
  }

  async close(): Promise<void> {
    this.#users = Math.max(this.#users - 1, 0)
    if (this.#users > 0) return
    const groups = Object.values(this.#routes).flatMap((routes) =>
      [...routes.values()].flat().map(({ group }) => group),
    )
    await Promise.all(groups.flatMap((group) => group.members.map((member) => group.leave(member))))
  }

  async check(): Promise<void> {
    this.#assertOpen()
  }

  publish(message: EventMessage, { channel }: PublishOptions): Promise<void> {
    if (this.#users === 0) return this.check()
    const routes = this.#routes[channel].get(channel === 'results' ? RESULTS : message.type) ?? NO_ROUTES
    // All groups are asked before any gets the message: a refused message must be in none of them.
    let routable = channel === 'results'
    for (const { group } of routes) {
      if (group.kind !== 'shared') continue
      if (group.full) return refuse(`A group has too many unsettled messages to take one more ${message.type}.`)
      routable = true
    }
    if (!routable) return refuse(`No worker subscribes to ${message.type}: is one started, with this very transport?`)
    this.#newest += 1
    if (channel === 'results') this.#keep(message)
    for (const { group, queue } of routes) if (group.open) group.push(queue, message, this.#newest)
    return DONE
  }

  async subscribe({ channel, types, reading }: Subscription, onMessage: MessageHandler): Promise<Reader> {
    this.#assertOpen()
    const past = reading.kind === 'replay' ? this.#past(channel, reading.from) : []
    const group = this.#group(channel, reading, past.length)
    const keys = channel === 'results' ? [RESULTS] : [...new Set(types)]
    const queues = keys.map((key) => this.#route(channel, key, group))
    for (const queue of queues) for (const { message, number } of past) group.push(queue, message, number)
    const concurrency = reading.kind === 'replay' ? 1 : reading.kind === 'shared' ? reading.concurrency : undefined
    const member = new Member(onMessage, queues, concurrency)
    group.join(member, this.#newest)
    return { caughtUp: member.caughtUp, ended: member.ended, close: () => group.leave(member) }
  }

  #assertOpen(): void {
    if (this.#users > 0) return
    throw new GatewayError('ERR_TRANSPORT_UNAVAILABLE', 'The memory transport is not started.')
  }

  /** The results behind the position where a replay starts. */
  #past(channel: Channel, from: ReplayStart): Kept[] {
    if (channel !== 'results') throw new GatewayError('ERR_CONFIG', 'The memory transport replays results only.')
    if (from === 'now') return []
    const [, number, log] = from === 'beginning' ? [] : (/^(\d{1,15})@(.*)$/.exec(from.after) ?? [])
    const after = from === 'beginning' ? 0 : log === this.#logName ? Number(number) : Number.NaN
    if (after >= this.#dropped && after <= this.#newest)
      return this.#log.values().filter(({ number }) => number > after)
    const wanted = from === 'beginning' ? 'the beginning' : `position ${JSON.stringify(from.after)}`
    const kept = `it has the results from ${this.#dropped + 1} to ${this.#newest}`
    throw new GatewayError('ERR_CONFIG', `The memory transport cannot replay from ${wanted}: ${kept} (option maxLog).`)
  }

  #keep(message: EventMessage): void {
    this.#log.push({ message, number: this.#newest })
    if (this.#log.size > this.#limits.maxLog) this.#dropped = this.#log.shift()?.number ?? this.#dropped
  }

  /** The group that a reading joins, or one of its own. */
  #group(channel: Channel, reading: Reading, past: number): Group {
    const name = reading.kind === 'shared' ? `${channel} ${reading.group}` : undefined
    const known = name === undefined ? undefined : this.#shared.get(name)
    if (known !== undefined) return known
    const group = new Group({
      kind: reading.kind,
      limit: past + (reading.kind === 'own' ? Number.POSITIVE_INFINITY : this.#limits.maxQueued),
      clock: this.#clock,
      log: this.#logName,
      wake: this.#wake,
      park: (message) => this.#park({ message, group: reading.kind === 'shared' ? reading.group : '' }),
    })
    if (name !== undefined) this.#shared.set(name, group)
    return group
  }

  /** Lets a group have what is published under a key. */
  #route(channel: Channel, key: string, group: Group): Fifo<Entry> {
    const queue = group.queue(key)
    const routes = (this.#routes[channel].get(key) ?? []).filter((route) => route.group.open && route.queue !== queue)
    this.#routes[channel].set(key, [...routes, { group, queue }])
    return queue
  }

  #park(parked: ParkedMessage): void {
    this.#parked.push(parked)
    if (this.#parked.size > this.#limits.maxParked) this.#parked.shift()
  }

  // One hop for all messages of a turn: the cost is shared, and timers and sockets get their turn in between.
  readonly #wake = (group: Group): void => {
    if (this.#woken.size === 0) this.#clock.setImmediate(this.#pump)
    this.#woken.add(group)
  }

  readonly #pump = (): void => {
    const woken = this.#woken
    this.#woken = new Set()
    for (const group of woken) group.pump()
  }
}

function refuse(message: string): Promise<void> {
  return Promise.reject(new GatewayError('ERR_PUBLISH_REJECTED', message, { outcome: 'not-accepted' }))
}
