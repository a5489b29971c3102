import { Admin } from '@platformatic/kafka'
import amqplib from 'amqplib'
import { namesOf } from './names.js'
import type { WorkerSpec } from './spec.js'

const PARTITIONS = 3

/** Makes what has to be there before anybody starts: topics on Kafka; on RabbitMQ everybody declares what it uses. */
export async function prepareBroker(spec: WorkerSpec): Promise<void> {
  if (spec.broker === 'rabbitmq') return
  await withAdmin(spec, (admin) =>
    admin.createTopics({ topics: topicsOf(spec), partitions: PARTITIONS, replicas: 1 } as never),
  )
}

/** Deletes everything that has one of the names. */
export async function cleanBroker(spec: WorkerSpec): Promise<void> {
  if (spec.broker === 'rabbitmq') return cleanRabbit(spec)
  await withAdmin(spec, async (admin) => {
    await admin.deleteTopics({ topics: topicsOf(spec) })
    const groups = [...(await admin.listGroups({})).keys()].filter((group) => group.startsWith(spec.prefix))
    if (groups.length > 0) await admin.deleteGroups({ groups })
  })
}

function topicsOf({ events, nest }: WorkerSpec): string[] {
  const named = (prefixes: readonly string[], keys: readonly ('requests' | 'results' | 'calls' | 'replies')[]) =>
    prefixes.flatMap((prefix) => keys.map((key) => namesOf(prefix)[key]))
  return [...named(events, ['requests', 'results']), ...named(nest, ['calls', 'replies'])]
}

async function withAdmin(spec: WorkerSpec, run: (admin: Admin) => Promise<unknown>): Promise<void> {
  const admin = new Admin({ clientId: spec.prefix, bootstrapBrokers: spec.address.split(',') })
  try {
    await run(admin)
  } finally {
    await admin.close()
  }
}

/** Own queues are deleted by those who had them, or expire. Deleting what is not there is no error. */
async function cleanRabbit({ address, prefix, events, nest, rpc }: WorkerSpec): Promise<void> {
  const connection = await amqplib.connect(address)
  const channel = await connection.createChannel()
  await channel.deleteQueue(`${prefix}.worker`)
  for (const one of [...nest, ...rpc]) await channel.deleteQueue(namesOf(one).calls)
  for (const one of events) {
    const { requests, results, recorder } = namesOf(one)
    for (const queue of [recorder, `${recorder}.parked`]) await channel.deleteQueue(queue)
    for (const exchange of [requests, results]) await channel.deleteExchange(exchange)
  }
  await connection.close()
}
