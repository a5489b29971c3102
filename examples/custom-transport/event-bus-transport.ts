import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Reader, Reading, Subscription, Transport } from 'respond-async'
import { type EventMessage, GatewayError, type MessageHandler } from 'respond-async'

/** A transport over an EventEmitter: requests are emitted as `request TYPE`, results as `result`. */
export function eventBusTransport(bus = new EventEmitter()): Transport {
  // What replays read. It grows with every result.
  const log: EventMessage[] = []
  const groups = new Map<string, ReturnType<typeof createGroup>>()
  const readers = new Set<Reader>()
  let users = 0
  bus.setMaxListeners(0)

  async function check(): Promise<void> {
    if (users === 0) throw new GatewayError('ERR_TRANSPORT_UNAVAILABLE', 'The event bus is not started.')
  }

  return {
    name: 'event-bus',
    durability: { class: 'process' },
    check,
    async start() {
      users += 1
    },
    async close() {
      if (users > 0) users -= 1
      if (users === 0) await Promise.all([...readers].map((reader) => reader.close()))
    },
    async publish(message, { channel }) {
      await check()
      if (channel === 'results') return void bus.emit('result', message, log.push(message) - 1)
      if (bus.emit(`request ${message.type}`, message)) return
      throw new GatewayError('ERR_PUBLISH_REJECTED', `No worker listens to ${message.type}.`)
    },
    async subscribe(subscription, onMessage) {
      await check()
      const { channel, reading } = subscription
      const key = reading.kind === 'shared' ? `${channel} ${reading.group}` : ''
      const group = groups.get(key) ?? createGroup(bus, reading.kind)
      if (reading.kind === 'shared') groups.set(key, group)
      if (reading.kind === 'replay') {
        const { from } = reading
        const next = from === 'beginning' ? 0 : from === 'now' ? log.length : Number(from.after) + 1
        if (!(next <= log.length)) throw new GatewayError('ERR_CONFIG', `The log does not reach to position ${next}.`)
        for (const [index, message] of log.slice(next).entries()) group.push(message, next + index)
      }
      const reader = group.join(subscription, onMessage)
      readers.add(reader)
      return reader
    },
  }
}

interface Entry {
  readonly message: EventMessage
  readonly position: string | undefined
  attempt: number
  settle: () => void
}

/** A copy of the messages, and the readers that share it: each takes what it has room for. */
function createGroup(bus: EventEmitter, kind: Reading['kind']) {
  const readers = new Set<() => void>()
  const waiting: Entry[] = []
  const unsettled = new Set<Promise<void>>()

  function push(message: EventMessage, index?: number): void {
    const position = kind === 'replay' ? String(index) : undefined
    const entry: Entry = { message, position, attempt: 1, settle: () => {} }
    const settled: Promise<void> = new Promise<void>((resolve) => {
      entry.settle = resolve
    }).finally(() => unsettled.delete(settled))
    unsettled.add(settled)
    enqueue(entry)
  }

  function enqueue(entry: Entry): void {
    waiting.push(entry)
    // In the next turn: whoever publishes must not run handlers.
    setImmediate(() => readers.forEach((take) => void take()))
  }

  async function deliver(entry: Entry, onMessage: MessageHandler): Promise<void> {
    const { message, position, attempt } = entry
    // A handler that fails wants the message again. What it parks is dropped here; a broker would put it aside.
    const answer = new Promise((resolve) => resolve(onMessage(message, { attempt, position }))).catch(() => 'requeue')
    if ((await answer) !== 'requeue' || kind === 'own') return entry.settle()
    entry.attempt += 1
    const again = sleep(10 * entry.attempt)
    // A replay stands still until the message is handled, a shared group goes on with the others.
    if (kind === 'replay') return again.then(() => deliver(entry, onMessage))
    void again.then(() => enqueue(entry))
  }

  function join({ channel, types, reading }: Subscription, onMessage: MessageHandler): Reader {
    const names = channel === 'results' ? ['result'] : types.map((type) => `request ${type}`)
    for (const name of names) if (!bus.listeners(name).includes(push)) bus.on(name, push)
    const room = reading.kind === 'shared' ? (reading.concurrency ?? 16) : kind === 'own' ? 1000 : 1
    const running = new Set<Promise<void>>()
    const take = () => {
      while (running.size < room && readers.has(take) && waiting.length > 0) {
        const run = deliver(waiting.shift() as Entry, onMessage).finally(() => running.delete(run))
        running.add(run)
        void run.then(take)
      }
    }
    readers.add(take)
    setImmediate(take)
    const close = async () => {
      readers.delete(take)
      // A shared group goes on listening, and keeps what comes for its next reader.
      if (kind !== 'shared') for (const name of names) bus.off(name, push)
      await Promise.all(running)
    }
    return { caughtUp: Promise.all(unsettled).then(() => {}), close }
  }

  return { push, join }
}
