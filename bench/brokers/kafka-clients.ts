import { Consumer, type Message, Producer } from '@platformatic/kafka'

/** A record as it is read: bytes, with headers as text. */
export type Incoming = Message<Buffer, Buffer, string, string>

const bytes = (data?: Buffer): Buffer | undefined => data
const toText = (data?: Buffer): string | undefined => data?.toString()
const toBytes = (text?: string): Buffer | undefined => (text === undefined ? undefined : Buffer.from(text))

/** A producer that takes bytes, and headers as text. */
export function createProducer(address: string, clientId: string): Producer<Buffer, Buffer, string, string> {
  const serializers = { key: bytes, value: bytes, headerKey: toBytes, headerValue: toBytes }
  return new Producer({ clientId, bootstrapBrokers: address.split(','), serializers, autocreateTopics: false })
}

/** A member of a group. */
export function createConsumer(address: string, groupId: string): Consumer<Buffer, Buffer, string, string> {
  const deserializers = { key: bytes, value: bytes, headerKey: toText, headerValue: toText }
  return new Consumer({ clientId: groupId, groupId, bootstrapBrokers: address.split(','), deserializers })
}

/** Puts records together that are read in one turn of the event loop, and handles one such batch after the other. */
export function inBatches(handle: (batch: readonly Incoming[]) => Promise<void>): (record: Incoming) => void {
  let batch: Incoming[] = []
  let isRunning = false
  const run = async (): Promise<void> => {
    while (batch.length > 0) {
      const taken = batch
      batch = []
      await handle(taken)
    }
    isRunning = false
  }
  return (record) => {
    batch.push(record)
    if (isRunning) return
    isRunning = true
    setImmediate(() => void run())
  }
}
