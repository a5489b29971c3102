import type { EventMessage, Settlement, Transport } from '../../../src/index.js'
import type { History } from './history.js'
import { resultOf } from './network.js'
import type { Random } from './random.js'
import type { Trace } from './trace.js'
import type { VirtualTime } from './virtual-time.js'

/** What the workers share with the rest of the world. */
export interface WorkerInit {
  readonly random: Random
  readonly time: VirtualTime
  readonly trace: Trace
  readonly history: History
  readonly transport: Transport
}

type Habit = 'dies before' | 'dies after' | 'answers twice' | 'repeats itself' | 'contradicts itself' | 'works'

/** Workers of all kinds: quick, slow, forgetful and confused ones. */
export class Workers {
  isHealed = false
  readonly #init: WorkerInit
  #results = 0

  constructor(init: WorkerInit) {
    this.#init = init
  }

  async start(): Promise<void> {
    const reading = { kind: 'shared', group: 'workers', concurrency: 16 } as const
    const subscription = { channel: 'requests', types: ['Do'], reading } as const
    await this.#init.transport.subscribe(subscription, (message) => this.#work(message))
  }

  async #work(message: EventMessage): Promise<Settlement> {
    const { time, trace, history, random } = this.#init
    const habit = this.#habit()
    trace.add('worker', habit, trace.nameOf(message.correlationId))
    const { n } = JSON.parse(Buffer.from(message.body).toString()) as { n: number }
    history.ran(message.correlationId ?? '', n, message.id)
    if (random.chance(0.2)) await this.#publish(message, 'Do::Progress')
    await time.sleep(random.chance(0.8) ? random.between(1, 60) : random.between(300, 3000))
    if (habit === 'dies before') return 'requeue'
    const type = random.chance(0.7) ? 'Done' : 'Refused'
    const result = await this.#publish(message, type)
    if (habit === 'repeats itself') await this.#init.transport.publish(result, { channel: 'results' })
    if (habit === 'answers twice') await this.#publish(message, type)
    if (habit === 'contradicts itself') await this.#publish(message, type === 'Done' ? 'Refused' : 'Done')
    return habit === 'dies after' ? 'requeue' : 'ack'
  }

  #habit(): Habit {
    const roll = this.#init.random.next()
    if (this.isHealed || roll > 0.4) return 'works'
    const habits = ['dies before', 'dies after', 'answers twice', 'repeats itself', 'contradicts itself'] as const
    return habits[Math.floor(roll * 12.5)] ?? 'works'
  }

  async #publish(request: EventMessage, type: string): Promise<EventMessage> {
    const { transport, time, random } = this.#init
    this.#results += 1
    const result = resultOf(request, type, `result-${this.#results}`)
    await time.sleep(random.between(0, 3))
    await transport.publish(result, { channel: 'results' })
    return result
  }
}
