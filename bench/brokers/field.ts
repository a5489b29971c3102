import type { ChildProcess } from 'node:child_process'
import autocannon from 'autocannon'
import { ask, startChild } from '../processes.js'
import { cleanBroker, prepareBroker } from './broker-setup.js'
import type { Load, Row } from './load.js'
import { type Asker, type Broker, nameOf, type Spec, type Variant, type WorkerSpec } from './spec.js'
import { dropStores } from './stores.js'

/** The rows of each variant, round by round. */
export type Rows = ReadonlyMap<string, readonly Row[]>

/** Where the variants of a field live. */
export type Site = Pick<Spec, 'broker' | 'address' | 'prefix' | 'redis' | 'postgres'>

interface Runner {
  readonly variant: Variant
  readonly child: ChildProcess
  readonly port: number
}

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5)
const SECONDS = Number(process.env.BENCH_SECONDS ?? 1)
const WARM_UP_SECONDS = 1

/** One broker, its worker, and gateways that take turns: each in a process of its own. */
export class Field {
  readonly #site: Site
  readonly #worker: WorkerSpec
  readonly #specs: readonly Spec[]
  readonly #children: ChildProcess[] = []
  readonly #runners: Runner[] = []

  constructor(site: Site, variants: readonly Variant[]) {
    this.#site = site
    this.#specs = variants.map((variant, at) => ({ ...site, ...variant, prefix: `${site.prefix}-${at}` }))
    const { broker, address, prefix } = site
    const asked = (...askers: Asker[]) =>
      this.#specs.filter(({ asker }) => askers.includes(asker)).map((spec) => spec.prefix)
    const events = asked('respond-async', 'hand-written')
    this.#worker = { broker, address, prefix, events, nest: asked('NestJS'), rpc: asked('rabbitmq-client') }
  }

  get broker(): Broker {
    return this.#site.broker
  }

  async start(): Promise<void> {
    await prepareBroker(this.#worker)
    await this.#start('worker', this.#worker)
    for (const spec of this.#specs) {
      const { child, answer } = await this.#start('gateway', spec)
      this.#runners.push({ variant: spec, child, port: answer as number })
    }
  }

  async #start(task: string, spec: object): Promise<{ readonly child: ChildProcess; readonly answer: unknown }> {
    const child = startChild(task, JSON.stringify(spec))
    this.#children.push(child)
    return { child, answer: await ask(child) }
  }

  /** Round trips with so many in flight. */
  roundTrips(inFlight: number): Promise<Rows> {
    return this.#rounds(async ({ child }, seconds) => (await ask(child, { inFlight, seconds } satisfies Load)) as Row)
  }

  /** Requests over HTTP, from so many connections. */
  http(connections: number): Promise<Rows> {
    return this.#rounds((runner, seconds) => loadHttp(runner, connections, seconds))
  }

  async #rounds(measure: (runner: Runner, seconds: number) => Promise<Row>): Promise<Rows> {
    const rows = new Map<string, Row[]>()
    for (const runner of this.#runners) {
      rows.set(nameOf(runner.variant), [])
      await measure(runner, WARM_UP_SECONDS)
    }
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const runner of this.#runners) rows.get(nameOf(runner.variant))?.push(await measure(runner, SECONDS))
    }
    return rows
  }

  /** Ends the processes, and deletes everything that they have made. */
  async close(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode === null) await ask(child, 'close').catch(() => {})
      child.kill()
    }
    await cleanBroker(this.#worker)
    await dropStores(this.#site.prefix, this.#site)
  }
}

async function loadHttp({ variant, child, port }: Runner, connections: number, seconds: number): Promise<Row> {
  const options = {
    method: 'POST' as const,
    headers: { 'content-type': 'application/json' },
    body: '{"username":"ada"}',
  }
  const before = (await ask(child, 'cpu')) as number
  const url = `http://127.0.0.1:${port}/users`
  const result = await autocannon({ url, ...options, connections, duration: seconds })
  const cpuUs = ((await ask(child, 'cpu')) as number) - before
  const answered = result['2xx']
  if (result.non2xx > 0 && variant.asker !== 'rabbitmq-client')
    throw new Error(`${nameOf(variant)}: not all answers were good: ${JSON.stringify(result.statusCodeStats)}`)
  return {
    rate: answered / result.duration,
    p50: result.latency.p50,
    p99: result.latency.p99,
    cpuPerThousand: cpuUs / 1000 / answered,
    lost: result.non2xx / (answered + result.non2xx),
  }
}
