import { expect, it } from 'vitest'
import { type RedisStoreOptions, redis } from '../../../../src/stores/redis/index.js'

const client = { isReady: false, sendCommand: async () => 'OK', on: () => {} }

function make(options: unknown): unknown {
  try {
    return redis(options as RedisStoreOptions).name
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_CONFIG' })
    return (error as Error).message
  }
}

it.each([
  [undefined, /^the options of redis\(\) is undefined/],
  [{}, /client is undefined; allowed is a client of ioredis/],
  [{ client: null }, /client is null/],
  [{ client: 'redis://:secret@127.0.0.1' }, /client is a text; /],
  [{ client, perfix: 'x:' }, /^redis\(\) has no option "perfix"; there are: client, /],
  [{ client, prefix: 5 }, /^prefix is 5/],
  [{ client, prefix: '' }, /^prefix is ""/],
  [{ client, pollEveryMs: -1 }, /^pollEveryMs is -1/],
  [{ client, connectTimeoutMs: 'x' }, /^connectTimeoutMs is "x"/],
])('redis(%o) is refused in a sentence that names the option', (options, text) => {
  expect(make(options)).toMatch(text)
})

it('a client is enough, and every option is taken', () => {
  expect(make({ client })).toBe('redis')
  expect(make({ client, prefix: 'x:', pollEveryMs: 1, connectTimeoutMs: 1 })).toBe('redis')
})
