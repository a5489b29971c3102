import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, Kafka, logLevel, ResourcePatternTypes } from 'kafkajs'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { tableName } from '../../examples/demo/parts.js'
import { type Role, readSettings, UsageError } from '../../examples/demo/settings.js'
import { type Supervised, supervise } from '../../examples/demo/supervisor.js'
import { KafkaBroker } from '../../scripts/brokers/kafka.js'
import { until as eventually } from '../../src/testing/contract.js'
import { whyNoOwnKafka } from '../support/own-kafka.js'
import { AMQP_URL, whyNoRabbitMq } from '../support/rabbitmq.js'
import { missingRedis, REDIS_URL } from '../support/redis/clients.js'
import { type Child, startChild } from './child.js'
import { expectParkedToBeKept } from './parked.js'

const MAIN = 'examples/demo/main.ts'
const OPEN: Supervised[] = []

afterEach(async () => {
  for (const supervised of OPEN.splice(0)) await supervised.stop()
})

/** Real processes that do nothing: what they print, and when each of a role was started. */
function start(roles: readonly Role[], script: string) {
  const started: { readonly role: Role; readonly child: ChildProcess; readonly at: number }[] = []
  const startOne = (role: Role): ChildProcess => {
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
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

const missingRabbit = await whyNoRabbitMq()

describe('a process of the demo that cannot be started like this', () => {
  const MISTAKE = "process.send({ mistake: 'wrong' }, () => process.exit(2))"

  it('is told of, and stopped for good by whoever hears of it', async () => {
    const { supervised, started } = start([{ kind: 'gateway', index: 0 }], MISTAKE)
    expect(await supervised.refused).toBe('wrong')
    await supervised.stop()
    const { length } = started
    await sleep(400)
    expect(started).toHaveLength(length)
  })

  it('is started again when it has been ready once', async () => {
    const { supervised, started } = start(
      [{ kind: 'gateway', index: 0 }],
      `process.send({ isReady: true }); ${MISTAKE}`,
    )
    let isRefused = false
    void supervised.refused.then(() => {
      isRefused = true
    })
    await until(() => started.length === 3)
    expect(isRefused).toBe(false)
  })

  it('names the address and the variable of a broker that cannot be reached, and tries again', async () => {
    const env = { KAFKA_BROKERS: '127.0.0.1:1', DEMO_PREFIX: 'demo_nowhere' }
    const child = await startChild(MAIN, { args: ['--transport', 'kafka', '--store', 'memory'], env })
    await child.prints(/(?:Kafka at 127\.0\.0\.1:1 cannot be asked .* See KAFKA_BROKERS\.\s+){4}/)
    expect(await child.stop()).toBe(0)
  })

  it.skipIf(missingRabbit !== undefined)(
    'ends the whole demo with 2, and with one error that names the option',
    async () => {
      const url = new URL(AMQP_URL)
      url.password = 'wrong'
      const args = ['--transport', 'amqp', '--store', 'memory']
      const child = await startChild(MAIN, { args, env: { AMQP_URL: url.href, DEMO_PREFIX: 'demo_wrong' } })
      expect(await child.ended).toBe(2)
      expect(
        child.output().match(/refuses the user name or the password \(option url\)\. See AMQP_URL\./g),
      ).toHaveLength(1)
    },
  )
})

const noKafka = await whyNoOwnKafka()

describe.skipIf(noKafka !== undefined)(
  `the demo where Kafka refuses its topics for good${noKafka ? ` (skipped: ${noKafka})` : ''}`,
  () => {
    const broker = new KafkaBroker({
      properties: {
        'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
        'allow.everyone.if.no.acl.found': 'true',
        'default.replication.factor': 3,
      },
    })
    const denied = 'demo_denied'
    const started: Child[] = []
    afterEach(() => {
      for (const child of started.splice(0)) child.signal('SIGTERM')
    })
    beforeAll(async () => {
      await broker.start()
      const admin = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING }).admin()
      await admin.connect()
      const everybody = { principal: 'User:ANONYMOUS', host: '*' }
      const cluster = {
        resourceType: AclResourceTypes.CLUSTER,
        resourceName: 'kafka-cluster',
        resourcePatternType: ResourcePatternTypes.LITERAL,
      }
      const topics = {
        resourceType: AclResourceTypes.TOPIC,
        resourceName: denied,
        resourcePatternType: ResourcePatternTypes.PREFIXED,
      }
      const all = { ...everybody, operation: AclOperationTypes.ALL, permissionType: AclPermissionTypes.ALLOW }
      const none = { ...everybody, operation: AclOperationTypes.CREATE, permissionType: AclPermissionTypes.DENY }
      // The right to everything first: the broker has no other name than everybody.
      await admin.createAcls({ acl: [{ ...cluster, ...all }] })
      await admin.createAcls({ acl: [cluster, topics].map((resource) => ({ ...resource, ...none })) })
      await admin.disconnect()
    }, 180_000)
    afterAll(async () => {
      await broker.stop('SIGKILL')
      broker.remove()
    })

    it.each([
      ['by its permissions', denied, /[Aa]uthoriz/],
      ['for want of brokers for its replicas', 'demo_wide', /Replication factor/],
    ])(
      '%s: it ends with 2, and with one error that says so',
      async (_, prefix, reason) => {
        const args = ['--transport', 'kafka', '--store', 'memory']
        const env = { KAFKA_BROKERS: broker.address, DEMO_PREFIX: prefix }
        const child = await startChild(MAIN, { args, env })
        started.push(child)
        expect(await child.ended).toBe(2)
        const said = child.output().match(/Kafka refuses to make the topics .*See KAFKA_BROKERS\./g)
        expect(said).toEqual([expect.stringMatching(reason)])
        expect(said?.[0]).toContain(`${prefix}.requests and ${prefix}.results`)
      },
      120_000,
    )
  },
)

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
    [['--transport=amqp=x'], '--transport is "amqp=x"'],
    [['--once=yes'], '--once takes no value, not "yes"'],
    [['--once='], '--once takes no value'],
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

  it('refuses a port without room for all instances behind it', () => {
    const args = ['--transport', 'amqp', '--store', 'redis', '--instances', '2']
    expect(() => readSettings({ PORT: '65535' }, args)).toThrow(UsageError)
    expect(() => readSettings({ PORT: '65535' }, args)).toThrow('PORT is "65535"')
    expect(readSettings({ PORT: '65534' }, args)).toMatchObject({ port: 65_534 })
  })

  it('refuses names that not every broker takes', () => {
    for (const DEMO_PREFIX of ['1demo', 'de/mo', 'x'.repeat(41)]) {
      expect(() => readSettings({ DEMO_PREFIX }, [])).toThrow(UsageError)
      expect(() => readSettings({ DEMO_PREFIX }, [])).toThrow('DEMO_PREFIX')
    }
  })

  it('begins tables with the prefix where it is plain, and never alike for two of them', () => {
    expect(tableName('demo_2')).toBe('demo_2')
    const others = ['Test-1', 'test-1', 'test.1', 'x'.repeat(40), 'x'.repeat(39)].map(tableName)
    for (const name of others) expect(name).toMatch(/^(test_1|x{20})_[0-9a-f]{6}$/)
    expect(new Set(others).size).toBe(others.length)
  })

  it('ends with 2, and with the option in what it says', async () => {
    const child = await startChild(MAIN, { args: ['--transport', 'amqp', '--instances', '2'] })
    expect(await child.ended).toBe(2)
    expect(child.output()).toContain('--instances 2 needs a store that processes can share')
  })
})

const within = (ms: number, condition: () => boolean | Promise<boolean>) => eventually(condition, ms)

const missing = noKafka ?? (await missingRedis())

describe.skipIf(missing !== undefined)(
  `the demo over Kafka and Redis${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    const prefix = `demo${randomBytes(4).toString('hex')}`
    const broker = new KafkaBroker()
    let demo: Child
    const origin = (index: number) => `http://127.0.0.1:${demo.port + index}`
    const health = (index: number) =>
      fetch(`${origin(index)}/healthz`).then(
        ({ status }) => status,
        () => 0,
      )
    const healthy = async (...indexes: number[]) => {
      for (const index of indexes) await within(60_000, async () => (await health(index)) === 200)
    }
    const post = (index: number, body: object, headers = {}) =>
      fetch(`${origin(index)}/users`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      })
    const LATER = { prefer: 'respond-async' }
    /** The ids of all processes that a role has had so far. */
    const pids = (role: string) =>
      [...demo.output().matchAll(new RegExp(`^${role} .*pid (\\d+)$`, 'gm'))].map(([, pid]) => Number(pid))
    const killed = async (role: string) => {
      const before = pids(role)
      process.kill(before.at(-1) ?? 0, 'SIGKILL')
      const at = performance.now()
      await within(60_000, () => pids(role).length === before.length + 1)
      return performance.now() - at
    }

    beforeAll(async () => {
      await broker.start()
      const args = ['--transport', 'kafka', '--store', 'redis', '--instances', '2', '--workers', '2']
      const env = { DEMO_PREFIX: prefix, KAFKA_BROKERS: broker.address, REDIS_URL }
      demo = await startChild(MAIN, { args, env })
      for (const role of ['gateway 0', 'gateway 1', 'worker 0', 'worker 1'])
        await within(90_000, () => pids(role).length === 1)
      await healthy(0, 1)
    }, 240_000)
    afterAll(async () => {
      await demo?.stop()
      await broker.stop('SIGKILL')
      broker.remove()
      const redis = new Redis(REDIS_URL)
      for await (const keys of redis.scanStream({ match: `${prefix}:*`, count: 500 }))
        if (keys.length > 0) await redis.del(...keys)
      redis.disconnect()
    }, 60_000)

    it('prints what to try, and answers at either gateway', async () => {
      expect(demo.output()).toContain(`curl -`)
      for (const index of [0, 1]) {
        const answer = await post(index, { username: `ada-${index}` }, { prefer: 'wait=20' })
        expect(answer.status).toBe(201)
        const seen = () => fetch(origin(1 - index) + answer.headers.get('location')).then(({ status }) => status)
        await expect.poll(seen, { timeout: 10_000 }).toBe(200)
      }
      expect((await post(1, { username: 'ada-0' }, { prefer: 'wait=20' })).status).toBe(409)
    }, 60_000)

    it('what was asked at the one is polled, streamed and canceled at the other', async () => {
      const asked = await post(0, { username: 'late', simulate: { delayMs: 1000 } }, LATER)
      expect(asked.status).toBe(202)
      const path = asked.headers.get('location') ?? ''
      const events = await fetch(`${origin(1)}${path}/events`, { headers: { accept: 'text/event-stream' } })
      const polled = await fetch(origin(1) + path, { headers: { prefer: 'wait=20' } })
      expect([polled.status, await polled.json()]).toEqual([201, expect.objectContaining({ username: 'late' })])
      expect(await events.text()).toContain('succeeded')
      const never = await post(1, { username: 'never', simulate: { outcome: 'never' } }, LATER)
      const other = origin(0) + never.headers.get('location')
      expect((await fetch(other, { method: 'DELETE' })).status).toBeLessThan(300)
      const ended = await fetch(`${origin(1)}${never.headers.get('location')}?follow=false`)
      expect(await ended.json()).toMatchObject({ status: 'canceled' })
    }, 60_000)

    it('a gateway and a worker that are killed are started again after a second, and nothing accepted is lost', async () => {
      const asked = await post(0, { username: 'survivor', simulate: { delayMs: 2000 } }, LATER)
      const path = asked.headers.get('location') ?? ''
      expect(await killed('gateway 0')).toBeGreaterThanOrEqual(900)
      expect(await killed('worker 0')).toBeGreaterThanOrEqual(900)
      await healthy(0)
      const done = async () => {
        const answer = await fetch(`${origin(0)}${path}?follow=false`)
        return ((await answer.json()) as { status: string }).status
      }
      // A member of a group that was killed is missed after its session of 15 s.
      await expect.poll(done, { timeout: 60_000 }).toBe('succeeded')
    }, 150_000)

    it('FM-C14 a gateway that stands still for longer than its session is not waited for, and goes on afterwards', async () => {
      await healthy(0, 1)
      const pid = pids('gateway 0').at(-1) ?? 0
      const statusAt = async (index: number, path: string) => {
        const answer = await fetch(`${origin(index)}${path}?follow=false`)
        return ((await answer.json()) as { status: string }).status
      }
      const paths: string[] = []
      process.kill(pid, 'SIGSTOP')
      try {
        const stillUntil = performance.now() + 20_000
        for (let n = 0; performance.now() < stillUntil; n += 1) {
          const asked = await post(1, { username: `still-${n}` }, LATER)
          expect(asked.status).toBe(202)
          paths.push(asked.headers.get('location') ?? '')
          await sleep(250)
        }
        for (const path of paths) await expect.poll(() => statusAt(1, path), { timeout: 30_000 }).toBe('succeeded')
      } finally {
        process.kill(pid, 'SIGCONT')
      }
      await healthy(0)
      // It reads again what the other has recorded in the meantime, and that changes nothing.
      expect((await post(0, { username: 'moving' }, { prefer: 'wait=20' })).status).toBe(201)
      for (const path of paths) expect(await statusAt(0, path)).toBe('succeeded')
      expect(pids('gateway 0').at(-1)).toBe(pid)
    }, 120_000)

    it('a gateway that ends with 1,000 requests waiting answers each with 202 within a second, and none is lost', async () => {
      await healthy(0, 1)
      const signal = () => void process.kill(pids('gateway 0').at(-1) ?? 0, 'SIGTERM')
      await expectParkedToBeKept({ origin: origin(0), otherOrigin: origin(1), signal })
    }, 120_000)

    it('is not healthy while the broker is stopped, and healthy again after that', async () => {
      await broker.stop()
      for (const index of [0, 1]) await expect.poll(() => health(index), { timeout: 30_000 }).toBe(503)
      await broker.start()
      await healthy(0, 1)
      expect((await post(0, { username: 'afterwards' }, { prefer: 'wait=20' })).status).toBeLessThan(300)
    }, 180_000)

    it('drains and ends with 0 when the first process is told to end', async () => {
      expect(await demo.stop()).toBe(0)
      expect(demo.output()).toContain('drained')
      for (const pid of [...pids('gateway 0'), ...pids('worker 1')]) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
    }, 60_000)
  },
)
