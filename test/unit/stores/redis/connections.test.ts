import { describe, expect, it } from 'vitest'
import { type Argument, connect } from '../../../../src/stores/redis/connection.js'
import { isDenied, toStoreError } from '../../../../src/stores/redis/errors.js'
import { NodeRedisConnection } from '../../../../src/stores/redis/node-redis.js'
import { Scripts, script } from '../../../../src/stores/redis/runner.js'

/** A client whose commands get these answers, one after the other. */
function client(answers: readonly unknown[]) {
  const sent: Argument[][] = []
  const sendCommand = async (args: readonly Argument[]): Promise<unknown> => {
    sent.push([...args])
    const answer = answers[sent.length - 1]
    if (answer instanceof Error) throw answer
    return answer
  }
  const rest = { connect: async () => {}, destroy: () => {}, on: () => {} }
  return { sent, client: { isOpen: true, isReady: true, sendCommand, ...rest } }
}

const CLOSED = new Error('Socket closed unexpectedly')
const NO_SCRIPT = new Error('NOSCRIPT No matching script. Please use EVAL.')
const REPEATABLE = script('return 1', { isRepeatable: true })

describe('what a failed command means', () => {
  it.each([
    ['LOADING Redis is loading the dataset in memory', 'ERR_STORE_UNAVAILABLE', 'not-accepted'],
    ["READONLY You can't write against a read only replica. script: x", 'ERR_STORE_UNAVAILABLE', 'not-accepted'],
    ['MISCONF Redis is configured to save RDB snapshots', 'ERR_STORE_UNAVAILABLE', 'not-accepted'],
    ["OOM command not allowed when used memory > 'maxmemory'. script: x", 'ERR_STORE_FULL', 'not-accepted'],
    ['NOPERM this user has no permissions', 'ERR_STORE_UNAVAILABLE', 'unknown'],
    ['Socket closed unexpectedly', 'ERR_STORE_UNAVAILABLE', 'unknown'],
    ['Command timed out', 'ERR_STORE_UNAVAILABLE', 'unknown'],
    ['Connection is closed.', 'ERR_STORE_UNAVAILABLE', 'unknown'],
    ['Reached the max retries per request limit (which is 20).', 'ERR_STORE_UNAVAILABLE', 'unknown'],
    ['The client is closed', 'ERR_STORE_UNAVAILABLE', 'unknown'],
    ['read ECONNRESET', 'ERR_STORE_UNAVAILABLE', 'unknown'],
  ])('%s', (text, code, outcome) => {
    expect(toStoreError(new Error(text))).toMatchObject({ code, details: { outcome } })
  })

  it('a command that is missing is as good as denied', () => {
    expect(isDenied(new Error("ERR unknown command 'CONFIG', with args beginning with: 'GET'"))).toBe(true)
    expect(isDenied(new Error('ERR syntax error'))).toBe(false)
  })
})

describe('running a script', () => {
  it('one that the server does not know is sent with its source, once', async () => {
    const { sent, client: fake } = client([NO_SCRIPT, 'answer'])
    const scripts = new Scripts(new NodeRedisConnection(fake), ['p:', 'self'])
    expect(await scripts.run(REPEATABLE, ['a'])).toBe('answer')
    expect(sent).toEqual([
      ['EVALSHA', REPEATABLE.sha, '0', 'p:', 'self', 'a'],
      ['EVAL', 'return 1', '0', 'p:', 'self', 'a'],
    ])
  })

  it('one that was under way when the connection broke is sent again where that does no harm', async () => {
    const { sent, client: fake } = client([CLOSED, 'answer'])
    const scripts = new Scripts(new NodeRedisConnection(fake), ['p:', 'self'])
    expect(await scripts.run(REPEATABLE, [])).toBe('answer')
    expect(sent).toHaveLength(2)
  })

  it('and else it is unknown what became of it', async () => {
    const { sent, client: fake } = client([CLOSED, 'answer'])
    const scripts = new Scripts(new NodeRedisConnection(fake), ['p:', 'self'])
    const unknown = { code: 'ERR_STORE_UNAVAILABLE', details: { outcome: 'unknown' }, cause: CLOSED }
    await expect(scripts.run(script('return 2'), [])).rejects.toMatchObject(unknown)
    expect(sent).toHaveLength(1)
  })

  it('an error of the server is not sent again', async () => {
    const { sent, client: fake } = client([new Error('ERR syntax error'), 'answer'])
    const scripts = new Scripts(new NodeRedisConnection(fake), ['p:', 'self'])
    await expect(scripts.run(REPEATABLE, [])).rejects.toMatchObject({ details: { outcome: 'unknown' } })
    expect(sent).toHaveLength(1)
  })
})

describe('a connection that cannot be made', () => {
  it.each([
    ['ENOTFOUND', 'getaddrinfo ENOTFOUND redis.invalid', false],
    ['ECONNRESET', 'read ECONNRESET from ECONNREFUSED.invalid', true],
  ])('%s: whether TLS may have to do with it is told by the code: %s', async (code, text, isHinted) => {
    const failure = Object.assign(new Error(text), { code })
    const { client: fake } = client([])
    const connection = new NodeRedisConnection({
      ...fake,
      isOpen: false,
      isReady: false,
      connect: async () => Promise.reject(failure),
    })
    const refused = await connect(connection, 1000).catch((error: Error) => error.message)
    expect(String(refused).includes('without TLS')).toBe(isHinted)
  })
})
