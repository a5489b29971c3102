import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Socket, connect as tcpConnect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { kafkaJars } from './kafka-jars.js'

/** How a broker of one's own is run. */
export interface KafkaBrokerOptions {
  /** @default '3.9.1' */
  readonly version?: string
  /** Where its data and its log lie; a folder of the system's temporary ones by default, removed by `remove`. */
  readonly dir?: string
  /** How long the first member of a group waits for others to join; brokers have 3000. @default 0 */
  readonly rebalanceDelayMs?: number
  /** More lines for `server.properties`. */
  readonly properties?: Readonly<Record<string, string | number>>
}

const HEAP = ['-Xms96m', '-Xmx384m']
const START_TIMEOUT_MS = 90_000
const STOP_TIMEOUT_MS = 30_000

/**
 * An Apache Kafka broker of one node, broker and controller in one process, on free loopback ports. It keeps its ports
 * and its data when it is started again. The process outlives this one until it is stopped.
 */
export class KafkaBroker {
  readonly dir: string
  readonly #options: KafkaBrokerOptions
  #ports: readonly [broker: number, controller: number] | undefined
  #child: ChildProcess | undefined

  constructor(options: KafkaBrokerOptions = {}) {
    this.#options = options
    this.dir = options.dir ?? mkdtempSync(join(tmpdir(), 'respond-async-kafka-'))
  }

  /** `127.0.0.1:<port>`, once it has been started. */
  get address(): string {
    return `127.0.0.1:${this.#ports?.[0]}`
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Resolves when the broker answers requests. */
  async start(): Promise<this> {
    const classpath = join(await kafkaJars(this.#options.version), '*')
    if (this.#ports === undefined) {
      this.#ports = await freePorts()
      this.#format(classpath)
    }
    const log = openSync(join(this.dir, 'broker.log'), 'a')
    const args = [...HEAP, ...LOGGING, '-cp', classpath, 'kafka.Kafka', this.#properties]
    this.#child = spawn('java', args, { detached: true, stdio: ['ignore', log, log] })
    closeSync(log)
    this.#child.unref()
    await this.#answering()
    return this
  }

  /** Sends the signal, and resolves when the process has ended. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const pid = this.pid
    this.#child = undefined
    if (pid !== undefined) await endProcess(pid, signal)
  }

  /** Removes data and log of a stopped broker. */
  remove(): void {
    rmSync(this.dir, { recursive: true, force: true })
  }

  /** Its own log, for a failure that nobody understands otherwise. */
  log(): string {
    const file = join(this.dir, 'broker.log')
    return existsSync(file) ? readFileSync(file, 'utf8') : ''
  }

  get #properties(): string {
    return join(this.dir, 'server.properties')
  }

  #format(classpath: string): void {
    mkdirSync(this.dir, { recursive: true })
    const [port, controller] = this.#ports ?? []
    const lines = {
      'node.id': 1,
      'process.roles': 'broker,controller',
      listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}`,
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
      'controller.listener.names': 'CONTROLLER',
      'controller.quorum.voters': `1@127.0.0.1:${controller}`,
      'log.dirs': join(this.dir, 'data'),
      'offsets.topic.replication.factor': 1,
      'offsets.topic.num.partitions': 4,
      'transaction.state.log.replication.factor': 1,
      'transaction.state.log.min.isr': 1,
      'group.initial.rebalance.delay.ms': this.#options.rebalanceDelayMs ?? 0,
      'auto.create.topics.enable': false,
      // The default takes a third of the heap.
      'log.cleaner.dedupe.buffer.size': 16 * 2 ** 20,
      ...this.#options.properties,
    }
    const text = Object.entries(lines).map(([name, value]) => `${name}=${value}\n`)
    writeFileSync(this.#properties, text.join(''))
    const format = ['format', '--cluster-id', 'cmVzcG9uZC1hc3luYy1rYQ', '--config', this.#properties]
    const args = [...LOGGING, '-cp', classpath, 'kafka.tools.StorageTool', ...format]
    const { status, stdout, stderr } = spawnSync('java', args, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`Kafka's storage could not be formatted: ${stdout}${stderr}`)
  }

  async #answering(): Promise<void> {
    const port = this.#ports?.[0] ?? 0
    for (const start = performance.now(); !(await answers(port)); await sleep(100)) {
      const ended = this.#child?.exitCode ?? this.#child?.signalCode ?? null
      if (ended === null && performance.now() - start < START_TIMEOUT_MS) continue
      await this.stop('SIGKILL')
      throw new Error(`Kafka did not start (${ended ?? 'too late'}): ${this.log().slice(-2000)}`)
    }
  }
}

// Standard error is the log; warnings are enough.
const LOGGING = ['-Dorg.slf4j.simpleLogger.defaultLogLevel=warn']

/** Ends a process by its id, and resolves when there is none any more. */
async function endProcess(pid: number, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (!send(pid, signal)) return
  for (const start = performance.now(); send(pid, 0); await sleep(50)) {
    if (performance.now() - start > STOP_TIMEOUT_MS) send(pid, 'SIGKILL')
  }
}

function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

async function freePorts(): Promise<readonly [number, number]> {
  const servers = [createServer(), createServer()]
  const ports = await Promise.all(servers.map(listen))
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return [ports[0] ?? 0, ports[1] ?? 0]
}

function listen(server: ReturnType<typeof createServer>): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' ? (address?.port ?? 0) : 0)
    })
  })
}

/** True when a broker there answers ApiVersions, the one request that every version takes. */
function answers(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = tcpConnect({ port, host })
    const done = (is: boolean, from: Socket) => {
      from.destroy()
      resolve(is)
    }
    socket.setTimeout(1000, () => done(false, socket))
    socket.on('error', () => done(false, socket))
    socket.on('close', () => resolve(false))
    socket.on('data', () => done(true, socket))
    // Size 10, api key 18, version 0, correlation id 1, no client id.
    socket.on('connect', () => socket.write(Buffer.from('0000000a0012000000000001ffff', 'hex')))
  })
}
