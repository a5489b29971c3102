import { type ErrorCode, GatewayError, toGatewayError } from './errors.js'
import type { EventMessage } from './event.js'
import type { Operation } from './operation.js'
import type { GatewayParts } from './parts.js'
import type { Confirmation } from './pending-request.js'

/** `doubtful`: certainly not published, and whether the operation has been ended for it is unknown. */
type Attempt = Confirmation | 'refused' | 'doubtful'

const LEASE_MS = 30_000
const LEASE_LIMIT = 500
/** How many operations are looked up at the same time. */
const LOOKS = 64

/** Rejections after which the broker certainly does not have the message. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_PUBLISH_REJECTED',
  'ERR_TRANSPORT_UNAVAILABLE',
  'ERR_CONFIG',
  'ERR_INVALID_INPUT',
])

const REQUESTS = { channel: 'requests' } as const
const done = () => {}

/**
 * Gets request events to the broker: at once, and what stays unconfirmed again and again under the same ids, by
 * whichever gateway leases it. Events with one key are published one after the other; behind one whose fate is
 * unknown its successors wait for the relay.
 */
export class Outbox {
  readonly #parts: GatewayParts
  /** How many first publishes are under way. */
  #underWay = 0
  /** The last publish under way of each key. */
  readonly #tails = new Map<string, Promise<void>>()
  /** Operations of each key whose publish is unconfirmed. */
  readonly #stuck = new Map<string, Set<string>>()
  /** Operations whose publish was confirmed since the last mark, and those from before it that are next to be marked. */
  #confirmed: string[] = []
  #marking: string[] = []
  #whenIdle: (() => void)[] = []

  constructor(parts: GatewayParts) {
    this.#parts = parts
  }

  /** Resolves when no first publish is under way. */
  async whenIdle(): Promise<void> {
    if (this.#underWay > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve))
  }

  /** Keeps an operation as one whose first publish is under way, so that no relay takes it and joiners wait. */
  hold(id: string): void {
    this.#underWay += 1
    this.#parts.open.setBeingPublished(id, true)
  }

  letGo(id: string): void {
    this.#underWay -= 1
    this.#parts.open.setBeingPublished(id, false)
    if (this.#underWay === 0 && this.#whenIdle.length > 0) for (const resolve of this.#whenIdle.splice(0)) resolve()
  }

  /** Publishes the request event of a new operation and tells everybody who waits for it what the broker said. */
  send(id: string, message: EventMessage): void {
    this.hold(id)
    if (message.key === undefined) this.#publish(id, message, done)
    else this.#sendInOrder(id, message, message.key)
  }

  #sendInOrder(id: string, message: EventMessage, key: string): void {
    const { pending, deadlines, settings } = this.#parts
    const before = this.#tails.get(key)
    const sent = before === undefined ? this.#sendNow(id, message) : before.then(() => this.#sendLater(id, message))
    // Those in front may take their time; whoever waits is told in time that nothing is certain.
    if (before !== undefined) {
      const deadline = deadlines.add(settings.publishTimeoutMs, () => pending.confirm(id, 'unconfirmed'))
      void sent.then(() => deadlines.cancel(deadline))
    }
    this.#tails.set(key, sent)
    void sent.then(() => {
      if (this.#tails.get(key) === sent) this.#tails.delete(key)
    })
  }

  /** What has ended while it was queued is not sent any more. */
  #sendLater(id: string, message: EventMessage): Promise<void> | undefined {
    if (this.#parts.open.has(id)) return this.#sendNow(id, message)
    this.letGo(id)
    return undefined
  }

  #sendNow(id: string, message: EventMessage): Promise<void> {
    return new Promise((resolve) => this.#publish(id, message, resolve))
  }

  /** Without a promise of its own: every request comes through here. */
  #publish(id: string, message: EventMessage, then: () => void): void {
    const { transportBreaker, transport } = this.#parts
    const settle = (attempt: Attempt) => {
      this.#sent(id, message, attempt)
      then()
    }
    if (message.key !== undefined && this.#stuck.has(message.key)) {
      settle('unconfirmed')
      return
    }
    transportBreaker.watch(() => transport.publish(message, REQUESTS), {
      succeed: () => settle('confirmed'),
      fail: (error) => void this.#judge(id, error, true).then(settle),
    })
  }

  #sent(id: string, message: EventMessage, attempt: Attempt): void {
    this.letGo(id)
    if (attempt === 'refused') return
    const { pending, storeKind } = this.#parts
    if (attempt !== 'confirmed') this.block(id, message)
    else if (storeKind !== 'none') this.#confirmed.push(id)
    if (attempt === 'doubtful') pending.doubt(id, doubt(id))
    else pending.confirm(id, attempt)
  }

  /** Publishes once more. Never rejects. */
  #attempt(id: string, message: EventMessage): Promise<Attempt> {
    const { transportBreaker, transport } = this.#parts
    return transportBreaker
      .run(() => transport.publish(message, REQUESTS))
      .then(
        () => 'confirmed',
        (error) => this.#judge(id, error, false),
      )
  }

  /** What a failed publish means; never rejects. `refused` only when the operation has been ended accordingly. */
  async #judge(id: string, error: unknown, isFirst: boolean): Promise<Attempt> {
    const { code, message } = toGatewayError(error)
    // An earlier attempt may have got through: a broker that is away now says nothing about it.
    const isCertain = REFUSALS.has(code) && (isFirst || code !== 'ERR_TRANSPORT_UNAVAILABLE')
    // That the broker is away is told by the breaker.
    if (!isCertain || code !== 'ERR_TRANSPORT_UNAVAILABLE') this.#parts.lifecycle.error(error)
    return isCertain ? this.#refuse(id, message, isFirst) : 'unconfirmed'
  }

  async #refuse(id: string, message: string, releaseKey: boolean): Promise<Attempt> {
    try {
      // Without the key to release, it is not known whether an earlier attempt has got through.
      const code = releaseKey ? 'ERR_PUBLISH_REJECTED' : 'ERR_PUBLISH_UNCONFIRMED'
      const settled = await this.#parts.settle(id, { state: 'failed', error: { code, message }, releaseKey })
      return settled !== undefined && settled.verdict !== 'stale' ? 'refused' : 'unconfirmed'
    } catch (error) {
      this.#parts.lifecycle.error(error)
      return 'doubtful'
    }
  }

  /** What becomes of a request event is open: those behind it with the same key have to wait. */
  block(id: string, { key }: EventMessage): void {
    if (key === undefined) return
    const ids = this.#stuck.get(key)
    if (ids === undefined) this.#stuck.set(key, new Set([id]))
    else ids.add(id)
  }

  /** It is certain by now, one way or the other. */
  unblock(id: string, { key }: Pick<EventMessage, 'key'>): void {
    if (key === undefined) return
    const ids = this.#stuck.get(key)
    if (ids?.delete(id) && ids.size === 0) this.#stuck.delete(key)
  }

  /** Notes in the store, in one write, what was confirmed before the last call, or so far: most has ended by then. */
  async markPublished(force = false): Promise<void> {
    const { store, open } = this.#parts
    const ids = this.#marking.concat(force ? this.#confirmed : []).filter((id) => open.has(id))
    // What cannot be noted is tried again: unmarked, all of it would be published once more.
    if (ids.length > 0) await store.markPublished(ids)
    this.#marking = force ? [] : this.#confirmed
    this.#confirmed = []
  }

  /** Publishes again what nobody has confirmed: oldest first, one after the other where they share a key. */
  async relay(): Promise<void> {
    await this.#lookAfterStuck()
    const { store, settings, open } = this.#parts
    const request = { olderThanMs: settings.relayAfterMs, leaseMs: LEASE_MS, limit: LEASE_LIMIT }
    const { token, operations } = await store.leaseUnpublished(request)
    const lanes = new Map<string, Operation[]>()
    for (const operation of operations.filter(({ id }) => !open.isBeingPublished(id))) {
      const lane = operation.request?.key ?? operation.id
      lanes.set(lane, [...(lanes.get(lane) ?? []), operation])
    }
    await Promise.all([...lanes.values()].map((lane) => this.#relayLane(lane, token)))
  }

  async #relayLane(operations: readonly Operation[], token: number): Promise<void> {
    for (const { id, request } of operations) {
      if (request === undefined) continue
      const attempt = await this.#attempt(id, request)
      if (attempt === 'unconfirmed' || attempt === 'doubtful') return
      if (attempt === 'confirmed') await this.#parts.store.markPublished([id], token)
      this.unblock(id, request)
    }
  }

  /** Another gateway's relay may have published what blocks a key here, or the operation may have ended. */
  async #lookAfterStuck(): Promise<void> {
    // There may be thousands after an outage: one after the other they would hold up all other housekeeping. In any
    // order, as a key is free only when all of its operations are certain.
    const all = [...this.#stuck].flatMap(([key, ids]) => [...ids].map((id) => ({ id, key })))
    const left = all.values()
    let failure: { readonly error: unknown } | undefined
    const look = async (): Promise<void> => {
      for (const { id, key } of left) {
        if (failure !== undefined) return
        await this.#lookAfter(id, key)
      }
    }
    const fail = (error: unknown): void => {
      failure ??= { error }
    }
    await Promise.all(Array.from({ length: Math.min(LOOKS, all.length) }, () => look().catch(fail)))
    if (failure !== undefined) throw failure.error
  }

  async #lookAfter(id: string, key: string): Promise<void> {
    const operation = await this.#parts.store.get(id)
    if (operation === undefined || operation.published || operation.state !== 'running') this.unblock(id, { key })
  }
}

function doubt(operationId: string): GatewayError {
  const text = 'The request could not be published, and the store did not say whether that is written down.'
  return new GatewayError('ERR_STORE_UNAVAILABLE', text, { operationId, outcome: 'unknown' })
}
