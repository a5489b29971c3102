import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { kafkaJars, whyNoKafka } from './kafka-jars.js'
import type { Place, Prepared, Program } from './program.js'
import { runBeside } from './shell.js'

const START_MS = 90_000
const HEAP = ['-Xms96m', '-Xmx384m']
/** Standard error is the log; warnings are enough. */
const LOGGING = ['-Dorg.slf4j.simpleLogger.defaultLogLevel=warn']
/** Any 16 bytes as base64; clusters of one node need no other name. */
const CLUSTER = 'cmVzcG9uZC1hc3luYy1rYQ'

let missing: string | undefined | null = null

/** A Kafka broker of one node, broker and controller in one process, from the jars of Maven Central. */
export const kafka: Program = {
  missing() {
    // Asking Java and Maven takes a while.
    if (missing === null) missing = whyNoKafka()
    return missing
  },
  async prepare({ folder, port, freePort, publicPort }: Place): Promise<Prepared> {
    const classpath = join(await kafkaJars(), '*')
    const properties = join(folder, 'server.properties')
    // Clients connect where the broker tells them to: those behind a proxy need a listener that tells of the proxy.
    const proxied = publicPort === undefined ? undefined : { port: await freePort(), publicPort }
    const lines = settings({ folder, port, proxied, controller: await freePort() })
    writeFileSync(properties, lines.map(([name, value]) => `${name}=${value}\n`).join(''))
    const storage = ['kafka.tools.StorageTool', 'format', '--cluster-id', CLUSTER, '--config', properties]
    const formatted = await runBeside('java', [...LOGGING, '-cp', classpath, ...storage])
    if (!formatted.ok) throw new Error(`Kafka's storage could not be formatted: ${formatted.output}`)
    const server = { command: 'java', args: [...HEAP, ...LOGGING, '-cp', classpath, 'kafka.Kafka', properties] }
    const behindProxy = proxied?.port ?? port
    return { kind: 'kafka', port, behindProxy, server, stopSignal: 'SIGTERM', startMs: START_MS }
  },
}

interface Ports {
  readonly folder: string
  readonly port: number
  readonly controller: number
  readonly proxied: { readonly port: number; readonly publicPort: number } | undefined
}

function settings({
  folder,
  port,
  controller,
  proxied,
}: Ports): readonly (readonly [string, string | number | boolean])[] {
  const at = (name: string, where: number) => `${name}://127.0.0.1:${where}`
  const listeners = [
    at('PLAINTEXT', port),
    at('CONTROLLER', controller),
    ...(proxied ? [at('PROXIED', proxied.port)] : []),
  ]
  const advertised = [at('PLAINTEXT', port), ...(proxied ? [at('PROXIED', proxied.publicPort)] : [])]
  return Object.entries({
    'node.id': 1,
    'process.roles': 'broker,controller',
    listeners: listeners.join(','),
    'advertised.listeners': advertised.join(','),
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'controller.quorum.voters': `1@127.0.0.1:${controller}`,
    'log.dirs': join(folder, 'data'),
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    // Members of groups need not wait for others to join.
    'group.initial.rebalance.delay.ms': 0,
    'auto.create.topics.enable': false,
    // The default takes a third of the heap.
    'log.cleaner.dedupe.buffer.size': 16 * 2 ** 20,
  })
}
