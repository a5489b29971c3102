import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../support/servers/until.js'
import { type Violation, violationsOf } from './checker.js'
import { firstSuccess } from './checks/health.js'
import { acceptedIds } from './checks/operations.js'
import { Clients } from './clients.js'
import { GRACE_MS, HEAL_MS, SETTINGS } from './config.js'
import { type Fault, faultsOf } from './faults.js'
import { type Entry, type Execution, type History, now, type Try, toHistory } from './history.js'
import { closeAgent } from './http.js'
import { Journal } from './journal.js'
import type { RunOptions } from './options.js'
import { leaksOf, type Usage, usageAtRest, usageOf, usageText, watchUsage } from './soak.js'
import { watchStalls } from './stalls.js'
import { startWorld, type World } from './world.js'

/** Between the first successes behind a healing and the next fault. */
const QUIET_MS = 1000
/** A RabbitMQ 3.10 that is killed within half a second of the first declaration of a queue may leave it without leader. */
const WARM_UP_MS = 2000
/** Longer than the lease of a relay that was killed. */
const SETTLE_MS = 75_000
const LAST_LOOKS = 32

/** What a run has come to. */
export interface RunResult {
  readonly history: History
  /** Where all of it is written. */
  readonly journal: Journal
  readonly violations: ReturnType<typeof violationsOf>
  /** How many requests were asked for. */
  readonly wishes: number
}

/** One run: a world, requests, faults, and the verdict over what came of it. */
export class Run {
  readonly #options: RunOptions
  readonly #journal = new Journal()
  /** Tries since the last healing, while somebody waits for the first successes. */
  #tries: Try[] | undefined
  readonly #random: () => number
  readonly #say: (text: string) => void
  #wishes = 0
  #ended = false

  constructor(options: RunOptions, say: (text: string) => void) {
    this.#options = options
    this.#random = seeded(options.seed)
    this.#say = say
  }

  /** `afterLoad` is called when all requests have come, and what is broken has been put right. */
  async go(afterLoad: () => void = () => {}): Promise<RunResult> {
    const note = (entry: Entry) => this.#note(entry)
    const start = now()
    const world = await startWorld(this.#options, note)
    this.#say(`all runs after ${inSeconds(now() - start)}`)
    const unwatch = watchStalls((stall) => note({ kind: 'stall', who: 'harness', ...stall }))
    const targets = world.gateways.map(({ index, port }) => ({ index, port }))
    const clients = new Clients({ targets, note, random: this.#random })
    try {
      const before = await Promise.all(targets.map(({ port }) => usageOf(port)))
      const work = [this.#load(clients), this.#breakThings(world), this.#killGateways(world)]
      const watched = this.#options.soak ? targets.map(({ port }) => watchUsage(port, () => this.#ended)) : []
      await Promise.all(work)
      afterLoad()
      const samples = await Promise.all(watched)
      const settling = now()
      await this.#settle(clients, targets)
      this.#say(`all was looked at ${inSeconds(now() - settling)} later`)
      const result = await this.#judge(world)
      if (!this.#options.soak) return result
      closeAgent()
      const leaks = await Promise.all(
        targets.map(({ port }, index) => this.#leaks(port, samples[index], before[index])),
      )
      return { ...result, violations: [...result.violations, ...leaks.flat()] }
    } finally {
      this.#ended = true
      clients.stop()
      unwatch()
      await world.close()
    }
  }

  async #leaks(port: number, samples: readonly Usage[] = [], before?: Usage): Promise<Violation[]> {
    const after = before && (await usageAtRest(port, before))
    if (before === undefined || after === undefined)
      return [{ rule: 'nothing is kept', text: 'a gateway did not say what it uses' }]
    this.#say(usageText(samples, before, after))
    return [...leaksOf(samples, before, after)].map((text) => ({ rule: 'nothing is kept', text }))
  }

  #note(entry: Entry): void {
    this.#journal.note(entry)
    if (entry.kind === 'try') this.#tries?.push(entry)
  }

  /** Open loop: requests come at their rate, whatever becomes of those before. */
  async #load(clients: Clients): Promise<void> {
    const { rate, seconds, requests } = this.#options
    const start = now()
    const total = requests ?? rate * seconds
    while (this.#wishes < total && !this.#ended) {
      const due = Math.min(total, Math.floor(((now() - start) / 1000) * rate))
      for (; this.#wishes < due; this.#wishes += 1) void clients.wish(this.#wishes)
      await sleep(5)
    }
    this.#ended = true
    const megabytes = Math.round(process.memoryUsage().rss / 1e6)
    this.#say(`${total} requests asked for in ${inSeconds(now() - start)}, by a process of ${megabytes} MB`)
  }

  async #breakThings(world: World): Promise<void> {
    const { faults: names, rounds, soak } = this.#options
    if (soak && names.length === 0) return
    const all = faultsOf(world, this.#random)
    const unknown = names.filter((each) => !all.some(({ name }) => name.startsWith(each)))
    if (unknown.length > 0)
      throw new Error(
        `There is no fault ${unknown.join(', ')} here; there are: ${all.map(({ name }) => name).join(', ')}`,
      )
    const faults = names.length === 0 ? all : names.flatMap((each) => all.filter(({ name }) => name.startsWith(each)))
    // Queues and pools warm up first.
    await this.#healed(world, now())
    await sleep(WARM_UP_MS)
    for (let round = 0; round < rounds && !this.#ended; round += 1) {
      for (const fault of faults) if (!this.#ended) await this.#break(world, fault)
    }
  }

  async #break(world: World, fault: Fault): Promise<void> {
    const { name, part, manner } = fault
    const begunAt = now()
    await fault.begin()
    const from = now()
    await sleep(fault.lastsMs)
    const to = now()
    await fault.end()
    const healedAt = now()
    this.#note({ kind: 'fault', name, part, manner, begunAt, from, to, healedAt })
    const firstMs = await this.#healed(world, healedAt)
    this.#say(`${name}: ${Math.round(healedAt - from)} ms, first successes ${firstMs} ms after it`)
    await sleep(QUIET_MS)
    while (!this.#ended && now() - from < this.#options.every * 1000) await sleep(100)
  }

  /** Waits for the first success of each gateway, or until it is clear that one takes too long. */
  async #healed({ gateways }: World, since: number): Promise<string> {
    const tries: Try[] = []
    // What began after that is noted after this.
    this.#tries = tries
    const firsts = () => gateways.filter(({ isUp }) => isUp).map(({ index }) => firstSuccess({ tries }, index, since))
    const look = () => this.#ended || !firsts().includes(undefined)
    await until(look, { what: 'successes', timeoutMs: HEAL_MS + 1000, everyMs: 100 }).catch(() => {})
    this.#tries = undefined
    return firsts()
      .map((first) => (first === undefined ? 'none' : Math.round(first - since)))
      .join(' and ')
  }

  async #killGateways({ gateways }: World): Promise<void> {
    const { killEvery } = this.#options
    if (killEvery === undefined) return
    for (let turn = 0; !this.#ended; turn += 1) {
      await sleep(killEvery * 1000)
      const gateway = gateways[turn % gateways.length]
      if (this.#ended || !gateway?.isUp) continue
      await gateway.kill()
      await sleep(1000)
      await gateway.start()
    }
  }

  /** Clients follow what they were promised; then every operation is looked at once more, at any gateway. */
  async #settle(
    clients: Clients,
    targets: readonly { readonly index: number; readonly port: number }[],
  ): Promise<void> {
    const deadline = now() + SETTLE_MS
    const isQuiet = () => clients.inFlight === 0 && clients.wishing === 0
    await until(isQuiet, { what: 'the end of all operations', timeoutMs: SETTLE_MS }).catch((error) =>
      this.#say(String(error)),
    )
    clients.stop()
    // All gateways have to be well in the end: each is asked.
    for (const _ of targets) for (let i = 0; i < 20 * targets.length; i += 1) await clients.wish(this.#wishes++)
    const tries = await this.#journal.read(({ kind }) => kind === 'try')
    const ids = [...acceptedIds(toHistory(tries))]
    const lookAtSome = async () => {
      for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
        let seen = (await clients.look(id)).seen
        while ((seen === 'running' || seen === 'unseen') && now() < deadline + 30_000) {
          await sleep(500)
          seen = (await clients.look(id)).seen
        }
      }
    }
    await Promise.all(Array.from({ length: LAST_LOOKS }, lookAtSome))
  }

  async #judge({ executionsFile }: World): Promise<RunResult> {
    const lines = readFileSync(executionsFile, 'utf8').split('\n')
    // The last line of a worker that was killed may be cut off; every other one is whole.
    for (const line of lines) if (line.endsWith('}')) this.#journal.note(JSON.parse(line) as Execution)
    const history = toHistory(await this.#journal.read())
    const limits = { ...SETTINGS, graceMs: GRACE_MS, healMs: HEAL_MS, gateways: this.#options.gateways }
    return { history, journal: this.#journal, violations: violationsOf(history, limits), wishes: this.#wishes }
  }
}

function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

/** Numbers from 0 to 1 that follow from the seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
