import type { Operation, Reply } from '../../../src/index.js'
import { type History, LEFT, type Try } from './history.js'
import type { Random } from './random.js'
import type { SimGateway } from './simulation.js'
import type { Trace } from './trace.js'
import type { VirtualTime } from './virtual-time.js'

/** What the clients share with the rest of the world. */
export interface ClientInit {
  readonly random: Random
  readonly time: VirtualTime
  readonly trace: Trace
  readonly history: History
  /** A gateway that is up; undefined while there is none. */
  anyGateway(): SimGateway | undefined
}

const REQUESTS_EACH = 3
const MOST_TRIES = 5
const WAITS_MS = [0, 30, 300, 2000]

/** One who asks, waits, asks again, polls, cancels, and leaves. */
export class Client {
  readonly #init: ClientInit
  readonly #name: string
  readonly #number: number

  constructor(init: ClientInit, number: number) {
    this.#init = init
    this.#name = `client${number}`
    this.#number = number
  }

  async run(): Promise<void> {
    const { time, random } = this.#init
    for (let count = 0; count < REQUESTS_EACH; count += 1) {
      await time.sleep(random.between(0, 1500))
      const n = this.#number * REQUESTS_EACH + count
      const key = random.chance(0.6) ? `key-${n}` : undefined
      const twins = key !== undefined && random.chance(0.3) ? 2 : 1
      await Promise.all(Array.from({ length: twins }, () => this.#want(n, key)))
    }
  }

  /** Asks until there is an operation, or no hope, and follows it to its end. */
  async #want(n: number, key: string | undefined): Promise<void> {
    const tries = key === undefined ? 1 : MOST_TRIES
    for (let count = 0; count < tries; count += 1) {
      const id = await this.#ask(n, key)
      if (id !== undefined) return this.#follow(id)
      await this.#init.time.sleep(this.#init.random.between(10, 300))
    }
  }

  async #ask(n: number, key: string | undefined): Promise<string | undefined> {
    const { random, time, trace, history } = this.#init
    const gateway = await this.#gateway()
    const waitMs = random.pick(WAITS_MS) ?? 0
    const attempt: Try = { n, key, waitMs, startedAt: time.now() }
    history.tries.push(attempt)
    const leaving = new AbortController()
    if (random.chance(0.1)) time.setTimer(() => leaving.abort(LEFT), random.between(0, 40))
    const options = { waitMs, signal: leaving.signal, ...(key !== undefined && { idempotencyKey: key }) }
    try {
      const reply: Reply = await gateway.process.whileAlive(
        gateway.ask({ n, order: n % 2 === 0 ? 'a' : undefined }, options),
      )
      history.answered(attempt, reply, time.now())
      trace.add(this.#name, `${reply.kind} ${n}`, `${trace.nameOf(reply.operation.id)} ${reply.operation.state}`)
      return reply.operation.id
    } catch (error) {
      history.failed(attempt, error, time.now())
      trace.add(this.#name, `got no answer for ${n}`, attempt.end)
      return undefined
    } finally {
      attempt.stillMs = gateway.process.stillSince(attempt.startedAt)
    }
  }

  async #follow(id: string): Promise<void> {
    const { random, time } = this.#init
    let seenVersion: number | undefined
    for (let ends = 0; ends < 2; ) {
      await time.sleep(random.between(5, 400))
      const operation = await this.#look(id, seenVersion)
      seenVersion = operation?.version
      if (operation !== undefined && operation.state !== 'running') ends += 1
    }
  }

  async #look(id: string, seenVersion: number | undefined): Promise<Operation | undefined> {
    const { random, time, trace, history } = this.#init
    const { process, operations } = await this.#gateway()
    const startedAt = time.now()
    const roll = random.next()
    try {
      const operation = await process.whileAlive(
        roll < 0.1
          ? operations.cancel(id).then((settled) => settled?.operation)
          : roll < 0.5
            ? operations.wait(id, { waitMs: 200, ...(roll < 0.3 && { seenVersion }) })
            : operations.get(id),
      )
      history.saw({ id, startedAt, endedAt: time.now(), operation })
      trace.add(this.#name, 'saw', `${trace.nameOf(id)} ${operation?.state}`)
      return operation
    } catch {
      // Tried again, somewhere else.
      return undefined
    }
  }

  async #gateway(): Promise<SimGateway> {
    for (;;) {
      const gateway = this.#init.anyGateway()
      if (gateway !== undefined) return gateway
      await this.#init.time.sleep(50)
    }
  }
}
