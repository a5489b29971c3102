import type { Store, Transport } from 'respond-async'
import { amqp } from 'respond-async/amqp'
import { kafka } from 'respond-async/kafka'
import { createBenchGateway } from '../setup.js'
import { namesOf } from './names.js'
import { PATIENCE_MS, type Spec, type Subject, type User } from './spec.js'

// A machine that is busy with all parts at once may keep one of them waiting for longer than a healthy one would.
const LIMITS = { waitMs: PATIENCE_MS, storeTimeoutMs: PATIENCE_MS, publishTimeoutMs: PATIENCE_MS }

/** Our gateway, and the parts of it that a web framework needs. */
export interface OurSubject extends Subject, Awaited<ReturnType<typeof createBenchGateway>> {}

/** Our gateway on a broker. */
export async function createOurs(spec: Spec, store: Store | undefined): Promise<OurSubject> {
  const kept = store ?? (spec.keeping === 'own' ? 'memory' : 'none')
  const parts = await createBenchGateway(transportOf(spec), kept, LIMITS)
  return {
    ...parts,
    async ask(user) {
      const reply = await parts.createUser.request(user)
      return reply.kind === 'completed' ? (reply.event.data as User) : undefined
    },
    close: () => parts.gateway.close(),
  }
}

function transportOf({ broker, address, prefix }: Spec): Transport {
  const { requests, results } = namesOf(prefix)
  return broker === 'rabbitmq'
    ? amqp({ url: address, prefix })
    : kafka({ brokers: address.split(','), topics: { requests, results }, groupPrefix: `${prefix}.` })
}
