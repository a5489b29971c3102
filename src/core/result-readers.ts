import type { EventMessage } from './event.js'
import type { GatewayParts } from './parts.js'
import type { Results } from './results.js'
import type { Delivery, MessageHandler, Reader } from './transport.js'

const RECORDER_CONCURRENCY = 256

/** Starts the readers of results that the store and the option `wake` call for; the returned function closes them. */
export async function readResults(parts: GatewayParts, results: Results): Promise<() => Promise<void>> {
  const { transport, storeKind, settings } = parts
  const topic = { channel: 'results', types: results.types } as const
  const readers: Reader[] = []
  if (settings.wake === 'transport') {
    readers.push(await transport.subscribe({ ...topic, reading: { kind: 'own' } }, onOwnCopy(storeKind, results)))
  }
  if (storeKind === 'given') {
    const group = `${settings.service}.recorder`
    const reading = { kind: 'shared', group, concurrency: RECORDER_CONCURRENCY } as const
    const record = (message: EventMessage, delivery: Delivery) => results.record(message, delivery)
    readers.push(await transport.subscribe({ ...topic, reading }, record))
  }
  return async () => {
    results.close()
    await Promise.all(readers.map((reader) => reader.close()))
  }
}

/**
 * With a store of its own the gateway is the only one that can record: its own copy is then all it needs. What was sent
 * to this reader alone no recorder will see.
 */
function onOwnCopy(storeKind: GatewayParts['storeKind'], results: Results): MessageHandler {
  return (message, delivery) => {
    const isAlone = storeKind === 'own' || (storeKind === 'given' && delivery.isDirect === true)
    return isAlone ? results.recordAlone(message, delivery) : results.wake(message, delivery)
  }
}
