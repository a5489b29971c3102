import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Admin } from '@platformatic/kafka'
import { findServer } from '../../scripts/brokers/find.js'
import { KafkaBroker } from '../../scripts/brokers/kafka.js'
import { whyNoKafka } from '../../scripts/brokers/kafka-jars.js'

const found = await findServer('kafka')

/** Why there is no Kafka for tests here, or undefined. */
export const noKafka: string | undefined = whyNone()

function whyNone(): string | undefined {
  if (found.address !== undefined) return undefined
  // A broker that is named and away is not replaced by one of our own.
  return process.env['KAFKA_BROKERS'] ? found.reason : whyNoKafka()
}

const START_MS = 120_000

/** The brokers that are there, or one that all test files of this run share; the first that asks starts it. */
async function kafkaBrokers(): Promise<string[]> {
  if (found.address !== undefined) return found.address.split(',')
  const home = process.env['KAFKA_TEST_HOME']
  if (home === undefined) throw new Error('test/support/kafka-global.ts is not the global set-up of this project')
  const state = join(home, 'state.json')
  if (isFirst(home)) {
    const broker = await new KafkaBroker({ dir: join(home, 'broker') }).start()
    writeFileSync(state, JSON.stringify({ pid: broker.pid, address: broker.address }))
  }
  for (const start = performance.now(); !existsSync(state); await sleep(100)) {
    if (performance.now() - start > START_MS) throw new Error('Kafka was not started by the test file that began it')
  }
  return [JSON.parse(readFileSync(state, 'utf8')).address]
}

function isFirst(home: string): boolean {
  try {
    mkdirSync(join(home, 'starting'))
    return true
  } catch {
    return false
  }
}

/** Topics with names of their own, removed by `remove`. */
export interface TestTopics {
  readonly brokers: string[]
  /** Begins all names. */
  readonly prefix: string
  create(name: string, partitions?: number, configs?: Readonly<Record<string, string>>): Promise<string>
  remove(): Promise<void>
}

/** Makes topics on the shared broker, or on the given one. */
export async function testTopics(given?: string[]): Promise<TestTopics> {
  const brokers = given ?? (await kafkaBrokers())
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
    async remove() {
      if (made.length > 0) await admin.deleteTopics({ topics: made.splice(0) }).catch(() => {})
      await admin.close()
    },
  }
}

/** Removes what a run has left in its folder. */
export function removeHome(home: string): void {
  rmSync(home, { recursive: true, force: true })
}
