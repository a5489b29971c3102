import { type Found, findServer } from '../../scripts/brokers/find.js'
import { KafkaBroker } from '../../scripts/brokers/kafka.js'
import { whyNoKafka } from '../../scripts/brokers/kafka-jars.js'
import { KINDS, type Kind } from '../../scripts/brokers/kinds.js'

/** Addresses of the servers that are there. */
export interface Servers {
  readonly amqp?: string | undefined
  readonly kafka?: string | undefined
  readonly redis?: string | undefined
  readonly postgres?: string | undefined
  /** Ends what was started. */
  close(): Promise<void>
}

/** Finds the servers, starts a Kafka broker where none runs, and says of each that is missing why its rows are. */
export async function findServers(): Promise<Servers> {
  const [amqp, redis, postgres] = await Promise.all([findServer('amqp'), findServer('redis'), findServer('postgres')])
  const { found: kafka, close } = await findOrStartKafka()
  const addressOf = (found: Found): string | undefined => {
    if (found.address !== undefined) return found.address
    process.stdout.write(`no ${KINDS[found.kind].title}, its rows are left out: ${found.reason}\n`)
    return undefined
  }
  return {
    amqp: addressOf(amqp),
    kafka: addressOf(kafka),
    redis: addressOf(redis),
    postgres: addressOf(postgres),
    close,
  }
}

interface Started {
  readonly found: Found
  close(): Promise<void>
}

async function findOrStartKafka(kind: Kind = 'kafka'): Promise<Started> {
  const found = await findServer(kind)
  const close = async (): Promise<void> => {}
  if (found.address !== undefined || process.env[KINDS.kafka.variable]) return { found, close }
  const reason = whyNoKafka()
  if (reason !== undefined) return { found: { kind, reason: `${found.reason}; ${reason}` }, close }
  const broker = new KafkaBroker()
  await broker.start()
  return {
    found: { kind, address: broker.address, how: 'started' },
    async close() {
      await broker.stop()
      broker.remove()
    },
  }
}
