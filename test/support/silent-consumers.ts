import { type Clock, systemClock } from '../../src/core/clock.js'
import type { AmqpChannel, AmqpClient, AmqpConnection } from '../../src/transports/amqp/index.js'

/** A client whose consumers a test can end behind the back of their readers, who are told nothing. */
export class SilencingClient implements AmqpClient {
  readonly #client: AmqpClient
  /** By queue, in their order. */
  readonly #consumers = new Map<string, (() => Promise<unknown>)[]>()

  constructor(client: AmqpClient) {
    this.#client = client
  }

  /** How many messages have come. */
  delivered = 0

  /** How many consumers of a queue there have been. */
  countOf(queue: string): number {
    return this.#consumers.get(queue)?.length ?? 0
  }

  /** Ends the first of them; a replay opens others to look at the end of its stream. */
  async silence(queue: string): Promise<void> {
    await this.#consumers.get(queue)?.[0]?.()
  }

  async connect(url: string, options?: Readonly<Record<string, unknown>>): Promise<AmqpConnection> {
    const connection = await this.#client.connect(url, options)
    const create = connection.createChannel.bind(connection)
    const value = async () => this.#watch(await create())
    return Object.create(connection, { createChannel: { value } }) as AmqpConnection
  }

  #watch(channel: AmqpChannel): AmqpChannel {
    const consume = channel.consume.bind(channel)
    return Object.assign(channel, {
      consume: async (...[queue, take, options]: Parameters<AmqpChannel['consume']>) => {
        const counted: typeof take = (message) => {
          this.delivered += 1
          take(message)
        }
        const consumer = await consume(queue, counted, options)
        const all = this.#consumers.get(queue) ?? []
        this.#consumers.set(queue, [...all, () => channel.cancel(consumer.consumerTag)])
        return consumer
      },
    })
  }
}

/** The timers by which readers look for silence, which run when a test says so; all others are those of the system. */
export class ProbeTimers {
  readonly #waiting = new Map<number, Set<() => void>>([
    [10_000, new Set()],
    [5000, new Set()],
  ])
  readonly clock: Clock = {
    ...systemClock,
    setTimer: (callback, ms, isBackground) => {
      const waiting = isBackground === true ? this.#waiting.get(ms) : undefined
      if (waiting === undefined) return systemClock.setTimer(callback, ms, isBackground)
      waiting.add(callback)
      return () => waiting.delete(callback)
    },
  }

  /** Runs out the timers of so many milliseconds. */
  run(ms: 10_000 | 5000): void {
    const due = [...(this.#waiting.get(ms) ?? [])]
    this.#waiting.get(ms)?.clear()
    for (const callback of due) callback()
  }
}
