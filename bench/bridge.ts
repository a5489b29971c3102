import { randomUUID } from 'node:crypto'
import type { EventMessage, Transport } from 'respond-async'

interface Waiting {
  resolve(message: EventMessage): void
  readonly timer: NodeJS.Timeout
}

/** What teams write by hand: a map of promises, a timer for each, and one subscription. It keeps no operations. */
export interface Bridge {
  request(data: unknown, waitMs: number): Promise<EventMessage | undefined>
}

/** Makes the bridge over the same transport that the gateway uses. */
export async function createBridge(transport: Transport, waitMs = 5000): Promise<Bridge> {
  const waiting = new Map<string, Waiting>()
  const types = ['CreateUser::UserCreated']
  await transport.subscribe({ channel: 'results', types, reading: { kind: 'own' } }, async (message) => {
    const entry = waiting.get(message.correlationId ?? '')
    if (entry === undefined) return 'ack'
    waiting.delete(message.correlationId ?? '')
    clearTimeout(entry.timer)
    entry.resolve(message)
    return 'ack'
  })
  return {
    async request(data, ms = waitMs) {
      const id = randomUUID()
      const result = new Promise<EventMessage | undefined>((resolve) => {
        const timer = setTimeout(() => {
          waiting.delete(id)
          resolve(undefined)
        }, ms)
        waiting.set(id, { resolve, timer })
      })
      await transport.publish(toRequest(id, data), { channel: 'requests' })
      return result
    },
  }
}

/** The floor below everything that asks through a transport: it, and the back end, with no time-out and no id of worth. */
export async function createFloor(transport: Transport): Promise<() => Promise<EventMessage>> {
  const waiting = new Map<string, (message: EventMessage) => void>()
  const types = ['CreateUser::UserCreated']
  await transport.subscribe({ channel: 'results', types, reading: { kind: 'own' } }, async (message) => {
    waiting.get(message.correlationId ?? '')?.(message)
    waiting.delete(message.correlationId ?? '')
    return 'ack'
  })
  let asked = 0
  return () => {
    asked += 1
    const id = `floor-${asked}`
    const result = new Promise<EventMessage>((resolve) => waiting.set(id, resolve))
    void transport.publish(toRequest(id, { username: 'ada' }), { channel: 'requests' })
    return result
  }
}

function toRequest(id: string, data: unknown): EventMessage {
  const body = Buffer.from(JSON.stringify(data))
  const rest = { contentType: 'application/json', headers: {}, source: 'bridge', time: Date.now() }
  return { id, type: 'CreateUser::Requested', correlationId: id, body, ...rest }
}
