import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { findServer, shownAddress, tableOf } from '../../../scripts/brokers/find.js'
import { endpointOf, KIND_NAMES, type Kind } from '../../../scripts/brokers/kinds.js'
import { installCommand } from '../../../scripts/brokers/packages.js'
import { freePort } from '../../../scripts/brokers/ports.js'
import { probe } from '../../../scripts/brokers/probe.js'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

/** A server that answers whatever it is asked with these bytes; with none it says nothing. */
async function answering(answer?: Buffer): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', () => answer && socket.write(answer))
  }).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** The first bytes of real servers, as they were seen on the wire. */
const ANSWERS: Readonly<Record<Kind, Buffer>> = {
  amqp: Buffer.from('0100000000021f000a000a0009', 'hex'),
  kafka: Buffer.from('0000001600000007000000000002000000000009', 'hex'),
  redis: Buffer.from('+PONG\r\n'),
  postgres: Buffer.from('520000000800000000', 'hex'),
}

describe('probe', () => {
  it.each(KIND_NAMES)('knows a %s server by its answer, and takes no other for it', async (kind) => {
    for (const other of KIND_NAMES) {
      const reason = await probe(kind, { host: '127.0.0.1', port: await answering(ANSWERS[other]) }, 100)
      if (other === kind) expect(reason).toBeUndefined()
      else expect(reason, other).toMatch(/no answer/)
    }
  })

  it.each([
    ['redis', '-NOAUTH Authentication required.\r\n'],
    ['postgres', 'E\u0000\u0000\u0000\u0040SFATAL\u0000C28P01\u0000Mpassword\u0000\u0000'],
  ] as const)('a %s server that wants a password is there', async (kind, answer) => {
    expect(await probe(kind, { host: '127.0.0.1', port: await answering(Buffer.from(answer)) })).toBeUndefined()
  })

  it.each([
    ['redis', '-LOADING Redis is loading the dataset in memory\r\n'],
    ['postgres', 'E\u0000\u0000\u0000\u0040SFATAL\u0000C57P03\u0000Mstarting up\u0000\u0000'],
  ] as const)('a %s server that is not ready is not', async (kind, answer) => {
    expect(await probe(kind, { host: '127.0.0.1', port: await answering(Buffer.from(answer)) }, 100)).toMatch(
      /no answer/,
    )
  })

  it('says why there is none: refused, or silent', async () => {
    const port = await freePort()
    expect(await probe('redis', { host: '127.0.0.1', port })).toBe(`127.0.0.1:${port} ECONNREFUSED`)
    const silent = await answering()
    expect(await probe('redis', { host: '127.0.0.1', port: silent }, 50)).toMatch(/no answer .* within 50 ms/)
  })
})

describe('endpointOf', () => {
  it.each<[Kind, string, { host: string; port: number }]>([
    ['amqp', 'amqp://guest:guest@broker.example/vhost', { host: 'broker.example', port: 5672 }],
    ['amqp', 'amqps://[::1]:5671', { host: '::1', port: 5671 }],
    ['kafka', 'one.example:9093, two.example', { host: 'one.example', port: 9093 }],
    ['kafka', 'one.example', { host: 'one.example', port: 9092 }],
    ['redis', 'redis://:secret@127.0.0.1:7000/2', { host: '127.0.0.1', port: 7000 }],
    ['postgres', 'postgres://me@db/test', { host: 'db', port: 5432 }],
  ])('%s %s', (kind, address, endpoint) => {
    expect(endpointOf(kind, address)).toEqual(endpoint)
  })

  it('names the variable and shows an example, but not what was given', () => {
    const mistake = () => endpointOf('redis', 'secret@')
    expect(mistake).toThrow('REDIS_URL is no address; it should look like redis://127.0.0.1:6379')
  })
})

describe('findServer', () => {
  it('takes the server that the environment names, and no other in its place', async () => {
    const port = await answering(ANSWERS.redis)
    const address = `redis://127.0.0.1:${port}`
    expect(await findServer('redis', { REDIS_URL: address })).toEqual({ kind: 'redis', address, how: 'REDIS_URL' })
    const nowhere = await freePort()
    expect(await findServer('redis', { REDIS_URL: `redis://127.0.0.1:${nowhere}` })).toEqual({
      kind: 'redis',
      reason: `REDIS_URL: 127.0.0.1:${nowhere} ECONNREFUSED`,
    })
  })

  it('takes no server that refuses the login', async () => {
    const port = await answering(Buffer.from('-NOAUTH Authentication required.\r\n'))
    expect(await findServer('redis', { REDIS_URL: `redis://127.0.0.1:${port}` })).toEqual({
      kind: 'redis',
      reason: `REDIS_URL: 127.0.0.1:${port} is there, but refuses the login: NOAUTH Authentication required.`,
    })
    const refusal = Buffer.from(`E\u0000\u0000\u0000\u0023SFATAL\u0000C28P01\u0000Mwrong password\u0000\u0000`)
    const database = `postgres://me:secret@127.0.0.1:${await answering(refusal)}/mine`
    const found = await findServer('postgres', { DATABASE_URL: database })
    expect(found).toMatchObject({ reason: expect.stringMatching(/is there, but refuses the login: wrong password/) })
    expect(JSON.stringify(found)).not.toContain('secret')
  })

  it('gives what is wrong with the variable as the reason', async () => {
    expect(await findServer('kafka', { KAFKA_BROKERS: ':' })).toMatchObject({
      reason: expect.stringContaining('KAFKA_BROKERS is no'),
    })
  })
})

describe('what is shown', () => {
  it('hides passwords', () => {
    expect(shownAddress('amqp://guest:guest@127.0.0.1:5672')).toBe('amqp://guest:***@127.0.0.1:5672')
    expect(shownAddress('redis://127.0.0.1:6379')).toBe('redis://127.0.0.1:6379')
  })

  it('is a table', () => {
    expect(
      tableOf([
        ['a', 'long', 'x'],
        ['bb', 'b', ''],
      ]),
    ).toEqual(['a   long  x', 'bb  b'])
  })

  it('names the packages of the package manager that is there', () => {
    expect(installCommand(['redis', 'kafka'], (name) => name === 'apt-get')).toMatch(
      /^(sudo )?apt-get install -y --no-install-recommends redis-server openjdk-17-jdk-headless maven$/,
    )
    expect(installCommand(['amqp'], (name) => name === 'brew')).toBe('brew install rabbitmq')
    expect(installCommand(['amqp'], () => false)).toBeUndefined()
    expect(installCommand([], () => true)).toBeUndefined()
  })
})
