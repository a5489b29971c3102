import {
  type EventMessage,
  GatewayError,
  type MessageHandler,
  type Subscription,
  type Transport,
} from '../../../src/index.js'

/** What the broker does with a request event: takes it and says so, takes it and says nothing, or refuses it. */
export type Fate = 'confirmed' | 'lost-confirm' | 'refused'

interface Reader extends Subscription {
  readonly onMessage: MessageHandler
  readonly travel: (label: string) => Promise<void>
  closed: boolean
}

/** What the broker asks of the world around it. */
export interface BrokerOptions {
  fateOf(message: EventMessage): Fate
  /** Gets every request event that was taken, and gives the results that a worker publishes. */
  work(message: EventMessage): readonly EventMessage[]
  /** Called when a gateway asks to publish. */
  asked(message: EventMessage): void
}

const MAX_ATTEMPTS = 6

/** A broker in which every publish, confirmation and delivery is a step of its own. */
export class ScheduledBroker {
  readonly #options: BrokerOptions
  readonly #readers: Reader[] = []

  constructor(options: BrokerOptions) {
    this.#options = options
  }

  /** One gateway's connection; `travel` never resolves once the gateway has crashed. */
  connect(travel: (label: string) => Promise<void>): Transport {
    return {
      ...{ name: 'scheduled', durability: { class: 'durable' } },
      start: async () => {},
      close: async () => {},
      check: async () => {},
      publish: (message) => this.#publish(message, travel),
      subscribe: async (subscription, onMessage) => {
        const reader: Reader = { ...subscription, onMessage, travel, closed: false }
        this.#readers.push(reader)
        const close = async () => {
          reader.closed = true
        }
        return { caughtUp: Promise.resolve(), close }
      },
    }
  }

  async #publish(message: EventMessage, travel: (label: string) => Promise<void>): Promise<void> {
    this.#options.asked(message)
    await travel('publish')
    const fate = this.#options.fateOf(message)
    if (fate !== 'refused') for (const result of this.#options.work(message)) this.#deliver(result)
    await travel('confirm')
    if (fate === 'refused') throw new GatewayError('ERR_PUBLISH_REJECTED', 'No.', { outcome: 'not-accepted' })
    if (fate === 'lost-confirm') throw new Error('The connection was reset.')
  }

  #deliver(result: EventMessage): void {
    for (const reader of this.#readers) if (reader.reading.kind === 'own') void this.#handOut(reader, result)
    this.#share(result, 1)
  }

  /** The reader itself is told once, whatever it says. */
  async #handOut(reader: Reader, result: EventMessage): Promise<void> {
    await reader.travel(`own ${result.type}`)
    if (!reader.closed) await reader.onMessage(result, { attempt: 1 })
  }

  /** Every member of the shared group reaches for the result, and the first one gets it. */
  #share(result: EventMessage, attempt: number): void {
    let taken = false
    for (const reader of this.#readers.filter(({ reading }) => reading.kind === 'shared')) {
      void reader.travel(`shared ${result.type}`).then(async () => {
        if (taken || reader.closed) return
        taken = true
        const settlement = await settle(reader, result, attempt)
        if (settlement === 'requeue' && attempt < MAX_ATTEMPTS) this.#share(result, attempt + 1)
      })
    }
  }
}

async function settle({ onMessage }: Reader, result: EventMessage, attempt: number) {
  try {
    return await onMessage(result, { attempt })
  } catch {
    return 'requeue'
  }
}
