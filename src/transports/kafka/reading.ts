import { randomUUID } from 'node:crypto'
import type { Clock } from '../../core/clock.js'
import { GatewayError } from '../../core/errors.js'
import { inTime } from '../../core/in-time.js'
import type { MessageHandler, Reader, Subscription } from '../../core/transport.js'
import type { IncomingRecord, KafkaBinding } from '../profiles/kafka-wire.js'
import type { Assignment, ClientReader, KafkaClient, PartitionId, ReadRequest } from './client.js'
import { Committer } from './committer.js'
import { concurrencyOf, Handover } from './handover.js'
import { History } from './history.js'
import { Idle } from './idle.js'
import type { Entry } from './inlet.js'
import { Late } from './late.js'
import { Milestones } from './milestones.js'
import { PartitionLog } from './partition-log.js'
import { ReadAhead } from './read-ahead.js'
import {
  describeAnother,
  describeHeldUp,
  describeLoss,
  formatPosition,
  type Offsets,
  type Places,
  startOfOwn,
  startOfReplay,
  startOfShared,
  witnessOf,
} from './starts.js'
import { pause } from './waiting.js'

/** What a reading is given by its transport. */
export interface ReadingParts {
  readonly client: KafkaClient
  readonly binding: KafkaBinding
  readonly clock: Clock
  readonly topics: readonly string[]
  /** How many partitions the topics had at the start. */
  readonly partitions: number
  readonly group: string | undefined
  readonly groupPrefix: string
  readonly subscription: Subscription
  readonly onMessage: MessageHandler
  /** `retention.ms` of a topic, as far as it is known. */
  retentionMsOf(topic: string): number | undefined
  /** Puts aside a record that cannot be handled; what it throws is tried again. */
  park(record: IncomingRecord, group: string): Promise<void>
  /** Something that no call can report. */
  warn(text: string, cause?: unknown): void
}

/** How long closing waits for a broker that does not answer. */
const CLOSE_MS = 5000
const AGAIN_MS = 1000

/** One subscription: it decides where reading starts, notes how far it has come, and says how far it may be committed. */
export class Reading implements ReadRequest, Reader {
  readonly topics: readonly string[]
  readonly group: string | undefined
  readonly ownGroup: string
  readonly #parts: ReadingParts
  readonly #kind: 'own' | 'shared' | 'replay'
  readonly #logs = new Map<PartitionId, PartitionLog>()
  readonly #handover: Handover
  readonly #committer: Committer
  readonly #milestones = new Milestones()
  readonly #ahead: ReadAhead
  readonly #history = new History()
  /** Of workers alone: a gateway that records nothing has a copy of its own, or is woken by the store. */
  readonly #idle: Idle | undefined
  /** Of groups alone: what one of its own is late for, the recorder has read. */
  readonly #late: Late | undefined
  #starts: Places | undefined
  #client: ClientReader | undefined
  #closing: Promise<void> | undefined

  constructor(parts: ReadingParts) {
    const { subscription, clock, group = '' } = parts
    this.#parts = parts
    this.#kind = subscription.reading.kind
    this.topics = parts.topics
    this.group = parts.group
    this.ownGroup = `${parts.groupPrefix}respond-async.${randomUUID()}`
    const concurrency = concurrencyOf(subscription.reading)
    this.#ahead = new ReadAhead({
      logs: this.#logs,
      concurrency,
      // A worker is promised that so many of its handlers run.
      atLeast: subscription.channel === 'requests' ? concurrency : 1,
      pause: (id) => this.#client?.pause(id),
      resume: (id) => this.#client?.resume(id),
      heldUp: (id, offset) => parts.warn(describeHeldUp(id, offset)),
    })
    this.#idle =
      subscription.channel === 'requests' && this.#kind === 'shared' ? new Idle({ ...parts, group }) : undefined
    this.#late = this.#kind === 'shared' ? new Late({ ...parts, group }) : undefined
    this.#handover = new Handover({
      ...parts,
      park: (record) => parts.park(record, group),
      failed: (error) => this.failed(error),
      isWanted: ({ partition, log }) => this.#logs.get(partition) === log,
      position: () => formatPosition([...this.#logs].map(([id, log]) => [id, log.place] as const)),
      settled: (entry) => this.#settled(entry),
    })
    const commit = (offsets: Offsets) => this.#client?.commit(offsets) ?? Promise.resolve()
    const failed = (error: unknown) => parts.warn(`The group ${parts.group} could not commit.`, error)
    this.#committer = new Committer({ logs: this.#logs, clock, commit, failed })
  }

  get caughtUp(): Promise<void> {
    return this.#milestones.caughtUp
  }

  get ended(): Promise<unknown> {
    return this.#milestones.ended
  }

  /** Resolves once it is positioned. */
  async open(): Promise<this> {
    const { subscription } = this.#parts
    if (this.#kind === 'own') this.#starts = toPlaces(await startOfOwn(this.#startParts()))
    if (subscription.reading.kind === 'replay') {
      this.#starts = await startOfReplay(this.#startParts(), subscription.reading.from)
    }
    await this.#read()
    return this
  }

  async #read(): Promise<void> {
    const reader = await this.#parts.client.read(this)
    this.#client = reader
    if (this.#closing !== undefined) return reader.close()
    for (const [id, log] of this.#logs) if (log.isPaused) reader.pause(id)
  }

  /** Takes no more messages, and resolves when the running handlers have settled theirs, and that is committed. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#milestones.fail(new GatewayError('ERR_CLOSED', 'The reader was closed before it had caught up.'))
    this.#idle?.close()
    await this.#handover.close()
    const { clock } = this.#parts
    if (this.#kind === 'shared') await inTime(this.#committer.flush(), CLOSE_MS, clock)
    await inTime(this.#client?.close() ?? Promise.resolve(), CLOSE_MS, clock)
  }

  owned(): readonly PartitionId[] {
    return [...this.#logs].sort(([, a], [, b]) => b.size - a.size).map(([id]) => id)
  }

  nextOf(id: PartitionId): bigint | undefined {
    return this.#logs.get(id)?.start
  }

  async assigned(assignment: Assignment): Promise<Offsets> {
    const { partitions } = assignment
    for (const id of this.#logs.keys()) if (!partitions.includes(id)) this.#logs.delete(id)
    const fresh = partitions.filter((id) => !this.#logs.has(id))
    const starts = new Map<PartitionId, bigint>()
    if (fresh.length > 0) {
      const known =
        this.#kind === 'shared' ? toPlaces(await startOfShared(this.#startParts(), assignment)) : this.#starts
      const logs = fresh.map((id) => [id, new PartitionLog(known?.get(id) ?? { next: 0n })] as const)
      for (const [id, log] of logs) starts.set(id, log.start)
      await this.#expect(starts)
      for (const [id, log] of logs) this.#logs.set(id, log)
    }
    this.#committer.rebase(partitions)
    this.#ahead.release()
    this.#idle?.has(partitions.length)
    this.#checkHistory()
    return starts
  }

  received(id: PartitionId, records: Iterable<IncomingRecord>, next: bigint): void {
    const log = this.#logs.get(id)
    if (log === undefined || this.#closing !== undefined) return
    let oldest: IncomingRecord | undefined
    for (const record of records) {
      if (!this.#recognises(id, log, record)) return
      oldest ??= record
      // A reader that was interrupted may begin again before where it was.
      const isNew = record.offset >= log.next
      log.advance(record.offset + 1n)
      if (!isNew) continue
      if (this.#kind === 'replay') log.witness(witnessOf(record))
      this.#handover.take(id, log, record)
    }
    log.advance(next)
    if (oldest !== undefined) this.#late?.sees(oldest)
    this.#handover.pump()
    this.#ahead.hold()
    if (this.#kind === 'shared' && log.size === 0) this.#committer.schedule()
    this.#checkHistory()
  }

  lost(id: PartitionId, from: bigint, to: bigint): void {
    const log = this.#logs.get(id)
    // Only what it would have been known by.
    if (log?.wanted !== undefined && to > from && to <= log.next) {
      log.advance(to)
      return
    }
    const text = describeLoss(id, from, to)
    this.#parts.warn(text)
    if (this.#kind === 'replay') this.#end(text)
    else if (to > from) log?.advance(to)
    else this.#restart(id, to)
  }

  failed(error: unknown): void {
    this.#parts.warn(`Reading ${this.topics.join(', ')} is interrupted.`, error)
    if (this.#kind === 'replay') void this.#checkTopics()
  }

  died(error: unknown): void {
    if (this.#kind === 'replay') this.#end(`The reader of ${this.topics.join(', ')} was given up by its client.`, error)
    else void this.#readAgain()
  }

  /** False when the last record of before is another one now. That it was compacted away is no sign of another topic. */
  #recognises(id: PartitionId, { wanted }: PartitionLog, record: IncomingRecord): boolean {
    if (record.offset !== wanted?.offset || witnessOf(record).mark === wanted.mark) return true
    this.#end(describeAnother(id, wanted))
    return false
  }

  /** A gap in a replay would never be noticed, so it ends where it would get one. */
  #end(text: string, cause?: unknown): void {
    if (this.#closing !== undefined) return
    const reason = new GatewayError('ERR_CONFIG', text, { cause })
    this.#milestones.end(reason)
    void this.close()
  }

  /** What is there now is all new; what was read before is handled, or gone with its topic. */
  #restart(id: PartitionId, start: bigint): void {
    if (!this.#logs.has(id)) return
    this.#logs.set(id, new PartitionLog({ next: start }))
    this.#committer.reset(id, start)
    this.#history.forget(id)
    this.#client?.resume(id)
    this.#ahead.release()
    this.#checkHistory()
  }

  /** A topic that is gone takes with it what a replay has not read, also if one of its name is made again. */
  async #checkTopics(): Promise<void> {
    const found = await this.#parts.client.describe(this.topics).catch(() => undefined)
    const gone = found === undefined ? [] : this.topics.filter((topic) => !found.has(topic))
    if (gone.length > 0) this.#end(`Kafka has no topic ${gone.join(', ')} any more.`)
  }

  /** Until it succeeds: another reader of the client goes on where the last one was. */
  async #readAgain(): Promise<void> {
    await this.#client?.close().catch(ignore)
    while (this.#closing === undefined) {
      try {
        return await this.#read()
      } catch (error) {
        this.failed(error)
        await pause(this.#parts.clock, AGAIN_MS)
      }
    }
  }

  #settled({ log, partition, record }: Entry): void {
    log.settle(record.offset)
    if (this.#logs.get(partition) !== log) return
    this.#ahead.release()
    if (this.#kind === 'shared') this.#committer.schedule()
    this.#checkHistory()
  }

  /** Notes what is there before this reader, which is its history. */
  async #expect(starts: Offsets): Promise<void> {
    if (this.#history.isKnown) return
    const ends = this.#kind === 'own' ? starts : await this.#parts.client.offsets(this.topics, 'end')
    this.#history.expect(starts, ends)
  }

  #checkHistory(): void {
    if (this.#history.isHandled(this.#logs)) this.#milestones.reach()
  }

  #startParts() {
    const { client, topics, subscription, clock } = this.#parts
    return { client, topics, channel: subscription.channel, pause: (ms: number) => pause(clock, ms) }
  }
}

function toPlaces(offsets: Offsets): Places {
  return new Map([...offsets].map(([id, next]) => [id, { next }]))
}

function ignore(): void {}
