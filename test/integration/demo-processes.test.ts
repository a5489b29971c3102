import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { type Role, readSettings, UsageError } from '../../examples/demo/settings.js'
import { type Supervised, supervise } from '../../examples/demo/supervisor.js'
import { startChild } from './child.js'

const MAIN = 'examples/demo/main.ts'
const OPEN: Supervised[] = []

afterEach(async () => {
  for (const supervised of OPEN.splice(0)) await supervised.stop()
})

/** Real processes that do nothing: what they print, and when each of a role was started. */
function start(roles: readonly Role[], script: string) {
  const started: { readonly role: Role; readonly child: ChildProcess; readonly at: number }[] = []
  const startOne = (role: Role): ChildProcess => {
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    started.push({ role, child, at: performance.now() })
    return child
  }
  const supervised = supervise(roles, startOne, 200)
  OPEN.push(supervised)
  return { supervised, started }
}

const WAITING =
  "process.on('SIGTERM', () => setTimeout(() => process.exit(0), 50)); console.log('up'); setInterval(() => {}, 1000)"
const ROLES: readonly Role[] = [
  { kind: 'gateway', index: 0 },
  { kind: 'worker', index: 0 },
]

async function up(child: ChildProcess | undefined): Promise<void> {
  if (child?.stdout) await once(child.stdout, 'data')
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(10)
}

describe('the supervisor of the demo', () => {
  it.each(['SIGTERM', 'SIGKILL'] as const)('starts again what has ended by %s, after a while', async (signal) => {
    const { supervised, started } = start(ROLES, WAITING)
    await Promise.all(started.map(({ child }) => up(child)))
    const first = started[0]
    const endedAt = first && once(first.child, 'exit').then(() => performance.now())
    first?.child.kill(signal)
    await until(() => started.length === 3)
    expect(started[2]?.role).toEqual(ROLES[0])
    expect((started[2]?.at ?? 0) - ((await endedAt) ?? 0)).toBeGreaterThanOrEqual(190)
    await up(started[2]?.child)
    await supervised.stop()
    expect(started.map(({ child }) => child.exitCode ?? child.signalCode)).toEqual([
      ...[signal === 'SIGTERM' ? 0 : signal, 0],
      0,
    ])
  })

  it('goes on starting what ends at once, until it is stopped', async () => {
    const { supervised, started } = start([{ kind: 'worker', index: 3 }], 'process.exit(1)')
    await until(() => started.length === 3)
    await supervised.stop()
    const { length } = started
    await sleep(400)
    expect(started).toHaveLength(length)
  })

  it('starts again what cannot even be started', async () => {
    let tries = 0
    const nothing = () => {
      tries += 1
      return spawn('/nowhere/to-be-found', [])
    }
    OPEN.push(supervise([{ kind: 'worker', index: 0 }], nothing, 50))
    await until(() => tries >= 3)
  })
})

describe('the options of the demo', () => {
  it.each([
    [[], { transport: 'memory', store: 'memory', instances: 1, workers: 1, once: false, prefix: 'demo' }],
    [['--once'], { once: true }],
    [['--transport', 'amqp', '--store', 'redis', '--instances', '3', '--workers=2'], { instances: 3, workers: 2 }],
    [['--transport', 'kafka'], { transport: 'kafka', store: 'memory' }],
    [['--store', 'postgres'], { transport: 'memory', store: 'postgres' }],
  ])('takes %j', (args, expected) => {
    expect(readSettings({}, args)).toMatchObject(expected)
  })

  it.each([
    [['--verbose'], '"--verbose"'],
    [['--transport', 'nats'], '--transport is "nats"'],
    [['--transport'], '--transport is ""'],
    [['--store', 'mongo'], '--store is "mongo"'],
    [['--instances', '0'], '--instances is "0"'],
    [['--workers', 'x'], '--workers is "x"'],
    [['--instances', '2'], '--instances 2 needs a broker'],
    [['--workers', '2', '--store', 'redis'], '--workers 2 needs a broker'],
    [['--transport', 'amqp', '--instances', '2'], '--instances 2 needs a store'],
    [['--transport', 'kafka', '--workers', '2', '--store', 'memory'], '--workers 2 needs a store'],
    [['--transport', 'amqp', '--store', 'redis', '--once'], '--once'],
  ])('refuses %j, and names the option', (args, message) => {
    expect(() => readSettings({}, args)).toThrow(UsageError)
    expect(() => readSettings({}, args)).toThrow(message)
  })

  it('refuses names that not every broker and database takes', () => {
    for (const DEMO_PREFIX of ['Demo', '1demo', 'de-mo', 'x'.repeat(21)]) {
      expect(() => readSettings({ DEMO_PREFIX }, [])).toThrow('DEMO_PREFIX')
    }
  })

  it('ends with 2, and with the option in what it says', async () => {
    const child = await startChild(MAIN, { args: ['--transport', 'amqp', '--instances', '2'] })
    expect(await child.ended).toBe(2)
    expect(child.output()).toContain('--instances 2 needs a store that processes can share')
  })
})
