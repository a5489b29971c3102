import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { rabbitmq } from '../../scripts/brokers/rabbitmq.js'

const BIN = '/usr/lib/rabbitmq/bin'
const START_MS = 120_000

/** Why no node can be started, or undefined; with REQUIRE_BROKERS=1 that is an error. */
export function whyNoNode(): string | undefined {
  const reason = existsSync(`${BIN}/rabbitmq-server`) ? rabbitmq.missing() : `there is no ${BIN}/rabbitmq-server`
  if (reason === undefined) return undefined
  const text = `no RabbitMQ node can be started: ${reason}`
  if (process.env.REQUIRE_BROKERS === '1') throw new Error(text)
  process.stderr.write(`skipped: ${text}\n`)
  return text
}

/** A RabbitMQ of the test's own, which may be killed, starved and reconfigured. */
export class RabbitMqNode {
  readonly url: string
  readonly #port: number
  readonly #folder: string
  readonly #env: NodeJS.ProcessEnv
  #process: ChildProcess | undefined

  private constructor(folder: string, [port, distribution]: readonly [number, number]) {
    this.#port = port
    this.#folder = folder
    this.url = `amqp://guest:guest@127.0.0.1:${port}`
    this.#env = {
      ...process.env,
      HOME: folder,
      RABBITMQ_NODENAME: `test-${randomBytes(4).toString('hex')}@localhost`,
      RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
      RABBITMQ_NODE_PORT: String(port),
      RABBITMQ_DIST_PORT: String(distribution),
      RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
      RABBITMQ_LOG_BASE: join(folder, 'log'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
      RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq'),
      RABBITMQ_CONF_ENV_FILE: join(folder, 'none'),
    }
  }

  static async start(): Promise<RabbitMqNode> {
    const folder = await mkdtemp(join(tmpdir(), 'rabbitmq-'))
    const node = new RabbitMqNode(folder, [await freePort(), await freePort()])
    await node.boot()
    return node
  }

  /** Starts the server and waits for its port; a boot right after a kill can fail, and is tried again. */
  async boot(): Promise<void> {
    const until = performance.now() + START_MS
    while (performance.now() < until) {
      // A group of its own, so that one signal reaches the script and the server.
      const child = spawn(`${BIN}/rabbitmq-server`, { env: this.#env, stdio: 'ignore', detached: true })
      this.#process = child
      while (child.exitCode === null && child.signalCode === null && performance.now() < until) {
        if (await listens(this.#port)) return
        await sleep(200)
      }
      await sleep(1000)
    }
    throw new Error('The node does not start.')
  }

  /**
   * Has the server keep its quorum queues. It writes the name of a new one to disk only half a second later, and a queue
   * whose name is lost in between never has a leader again, however often the server boots.
   */
  async keepQueues(): Promise<void> {
    await this.control('eval', 'ok = dets:sync(ra_directory_reverse).')
  }

  /** Kills the server as the system does that is out of memory, and waits until its port is closed. */
  async kill(): Promise<void> {
    const pid = this.#process?.pid
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
    while (await listens(this.#port)) await sleep(50)
    await sleep(1000)
  }

  /** Runs a command of rabbitmqctl. */
  async control(...args: readonly string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(`${BIN}/rabbitmqctl`, ['-q', ...args], { env: this.#env })
    return stdout
  }

  async stop(): Promise<void> {
    await this.kill()
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    const end = (value: boolean) => {
      socket.destroy()
      resolve(value)
    }
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
  })
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
