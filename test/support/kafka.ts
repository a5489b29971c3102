import { randomBytes } from 'node:crypto'
import { Admin } from '@platformatic/kafka'
import { sharedServer } from './servers/server-for.js'

const server = await sharedServer('kafka')

/** Why there is no Kafka for tests here, or undefined. */
export const noKafka: string | undefined = server.missing

/** Topics with names of their own, removed by `remove`. */
export interface TestTopics {
  readonly brokers: string[]
  /** Begins all names. */
  readonly prefix: string
  create(name: string, partitions?: number, configs?: Readonly<Record<string, string>>): Promise<string>
  /** Deletes one of them; it may be made anew. */
  delete(topic: string): Promise<void>
  remove(): Promise<void>
}

/** Makes topics on the shared broker, or on the given one. */
export async function testTopics(given?: string[]): Promise<TestTopics> {
  const brokers = given ?? server.address.split(',')
  const prefix = `test-${randomBytes(6).toString('hex')}`
  const admin = new Admin({ clientId: prefix, bootstrapBrokers: brokers })
  const made: string[] = []
  return {
    brokers,
    prefix,
    async create(name, partitions = 1, configs = {}) {
      const topic = `${prefix}.${name}`
      const list = Object.entries(configs).map(([key, value]) => ({ name: key, value }))
      await admin.createTopics({ topics: [topic], partitions, replicas: 1, configs: list } as never)
      made.push(topic)
      return topic
    },
    async delete(topic) {
      await admin.deleteTopics({ topics: [topic] })
      made.splice(made.indexOf(topic), 1)
    },
    async remove() {
      if (made.length > 0) await admin.deleteTopics({ topics: made.splice(0) }).catch(() => {})
      await admin.close()
    },
  }
}
