import { parseArgs } from 'node:util'
import type { ProcessConfig } from './config.js'

/** What a run is to do. */
export interface RunOptions {
  readonly transport: ProcessConfig['transport']
  readonly store: ProcessConfig['store']
  readonly gateways: number
  readonly workers: number
  /** New requests in a second, whatever becomes of the others. */
  readonly rate: number
  /** How long requests come, in seconds; a run with `requests` ends when these are through. */
  readonly seconds: number
  readonly requests: number | undefined
  /** Which faults, by the beginnings of their names, and in which order; all by default. */
  readonly faults: readonly string[]
  /** How often each fault comes at most. */
  readonly rounds: number
  /** How many seconds there are at least from the beginning of one fault to that of the next. */
  readonly every: number
  /** Kills a gateway this often, in seconds, beside the faults. */
  readonly killEvery: number | undefined
  readonly seed: number
  /** Measures the heap in the end and fails when it grows. */
  readonly soak: boolean
  /** Leaves the history although nothing was violated. */
  readonly keep: boolean
}

const HELP = `npm run test:chaos -- [options]
  --transport memory|amqp|kafka   --store memory|redis|postgres
  --gateways N (2)  --workers N (2)  --rate N requests a second (100)
  --seconds N (60)  or  --requests N
  --faults a,b      only faults whose names begin so, in this order
  --rounds N        each fault comes at most so often
  --every N         at least N seconds from one fault to the next (1 s of quiet after each)
  --kill-every N    kills a gateway every N seconds
  --soak            no faults by default; the heap must stay flat
  --keep            leaves the history also when nothing was violated
  --seed N          the same choices as the run that printed it
  --ci              two short runs, with RabbitMQ and Redis and with Kafka and PostgreSQL
  --long amqp|kafka|soak   a run of the figures in bench/README.md
                    further options change these`

/**
 * What `--ci` stands for. The broker first: requests whose publish nobody has confirmed are left alone for half a minute
 * before they are published again, and that is to pass while others come.
 */
const CI_RUNS = [
  [
    '--transport',
    'amqp',
    '--store',
    'redis',
    '--faults',
    'broker killed,broker silent both,store killed,gateway killed',
  ],
  ['--transport', 'kafka', '--store', 'postgres', '--faults', 'broker restarted,gateway killed,store silent both'],
].map((run) => [...run, '--seconds', '30', '--rate', '60', '--rounds', '1'])

/** What `--long` stands for. The requests last longer than the faults, so that each fault is seen to pass. */
const LONG_RUNS: Readonly<Record<string, readonly string[]>> = {
  amqp: [
    ...['--transport', 'amqp', '--store', 'redis', '--requests', '100000'],
    ...['--faults', 'broker killed', '--rounds', '20', '--every', '47', '--kill-every', '10'],
  ],
  kafka: [
    ...['--transport', 'kafka', '--store', 'postgres', '--requests', '50000'],
    ...['--faults', 'broker restarted', '--rounds', '5', '--every', '80', '--kill-every', '10'],
  ],
  soak: ['--transport', 'amqp', '--store', 'postgres', '--soak', '--seconds', '1800', '--rate', '40'],
}

/** The runs that a command line asks for, one after the other. @throws Error that says what is allowed. */
export function readRuns(args: readonly string[]): RunOptions[] {
  const at = args.indexOf('--long')
  if (at >= 0) return [readOptions([...longRun(args[at + 1]), ...args.slice(0, at), ...args.slice(at + 2)])]
  if (!args.includes('--ci')) return [readOptions(args)]
  const others = args.filter((arg) => arg !== '--ci')
  return CI_RUNS.map((run) => readOptions([...run, ...others]))
}

function longRun(name = ''): readonly string[] {
  const run = LONG_RUNS[name]
  if (run === undefined) throw new Error(`--long is one of ${Object.keys(LONG_RUNS).join(', ')}.\n${HELP}`)
  return run
}

/** Reads the options of one run. @throws Error that says what is allowed. */
function readOptions(args: readonly string[]): RunOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...Object.fromEntries(TEXTS.map((name) => [name, { type: 'string' as const }])),
      soak: { type: 'boolean' as const, default: false },
      keep: { type: 'boolean' as const, default: false },
      help: { type: 'boolean' as const, default: false },
    },
  })
  if (values.help) {
    process.stdout.write(HELP)
    process.exit(0)
  }
  const given = values as Readonly<Record<string, string | boolean | undefined>>
  const transport = choice(given, 'transport', ['memory', 'amqp', 'kafka'] as const)
  const store = choice(given, 'store', ['memory', 'redis', 'postgres'] as const)
  const isMemory = transport === 'memory'
  if (store === 'memory' && given['kill-every'] !== undefined)
    throw new Error(`--kill-every needs a store that outlives its gateways.\n${HELP}`)
  return {
    transport,
    store,
    // In memory all is one process, and a store in memory is of one gateway.
    gateways: isMemory || store === 'memory' ? 1 : number(given, 'gateways', 2),
    workers: isMemory ? 0 : number(given, 'workers', 2),
    rate: number(given, 'rate', 100),
    seconds: number(given, 'seconds', 60),
    requests: optional(given, 'requests'),
    faults: given.faults === undefined ? [] : String(given.faults).split(','),
    rounds: number(given, 'rounds', 1000),
    every: number(given, 'every', 0),
    killEvery: optional(given, 'kill-every'),
    seed: number(given, 'seed', Math.floor(Math.random() * 2 ** 31)),
    soak: given.soak === true,
    keep: given.keep === true,
  }
}

const TEXTS = [
  ...(['transport', 'store', 'gateways', 'workers', 'rate', 'seconds', 'requests'] as const),
  ...(['faults', 'rounds', 'every', 'kill-every', 'seed'] as const),
]

type Given = Readonly<Record<string, string | boolean | undefined>>

function choice<Name extends string>(given: Given, name: string, allowed: readonly Name[]): Name {
  const value = given[name] ?? allowed[0]
  const found = allowed.find((each) => each === value)
  if (found === undefined) throw new Error(`--${name} is one of ${allowed.join(', ')}.\n${HELP}`)
  return found
}

function number(given: Given, name: string, byDefault: number): number {
  return optional(given, name) ?? byDefault
}

function optional(given: Given, name: string): number | undefined {
  if (given[name] === undefined) return undefined
  const value = Number(given[name])
  if (!Number.isInteger(value) || value < 0) throw new Error(`--${name} is a whole number.\n${HELP}`)
  return value
}
