import type { EventMessage } from './event.js'
import type { GatewayParts } from './parts.js'

const LIMIT = 1000
const TTL_MS = 3_600_000

/** Keeps results that belong to nobody for an hour, for whoever looks for the cause. */
export class Orphans {
  readonly #parts: Pick<GatewayParts, 'store' | 'settings' | 'lifecycle'>
  #since = 0
  #kept = 0

  constructor(parts: Pick<GatewayParts, 'store' | 'settings' | 'lifecycle'>) {
    this.#parts = parts
  }

  /** Best effort, and bounded: a topic full of somebody else's results must not push out what is ours. Never rejects. */
  async keep(id: string, { body, ...envelope }: EventMessage): Promise<void> {
    const { store, settings, lifecycle } = this.#parts
    lifecycle.note('orphan', { id, type: envelope.type })
    const now = settings.clock.monotonic()
    if (now - this.#since > TTL_MS) {
      this.#since = now
      this.#kept = 0
    }
    if (this.#kept >= LIMIT) return
    this.#kept += 1
    const value = Buffer.from(JSON.stringify({ ...envelope, body: Buffer.from(body).toString('base64') }))
    const record = { key: `orphan/${id}/${envelope.id}`, value, ttlMs: TTL_MS }
    await store.records.put(record).catch((error: unknown) => lifecycle.error(error))
  }
}
