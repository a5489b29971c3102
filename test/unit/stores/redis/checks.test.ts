import { describe, expect, it } from 'vitest'
import { inspect } from '../../../../src/stores/redis/checks.js'
import type { RedisConnection } from '../../../../src/stores/redis/connection.js'

/** A server with these settings. */
function serverWith(settings: Readonly<Record<string, string>>): RedisConnection {
  return {
    isReady: true,
    lastError: undefined,
    sendCommand: async ([command, , name = '']) => {
      if (command === 'INFO') return 'role:master\r\naof_enabled:1\r\nmaxmemory_policy:noeviction\r\n'
      const value = settings[String(name)]
      return value === undefined ? [] : [name, value]
    },
    open: () => ({ isOurs: false, connected: Promise.resolve() }),
    close: () => {},
    subscribe: async () => undefined,
  }
}

describe('what a crash of Redis may cost', () => {
  it.each([
    ['always', 'no', { class: 'durable' }],
    ['everysec', 'no', { class: 'durable', mayLoseMs: 1000 }],
    ['always', 'yes', { class: 'process' }],
    ['everysec', 'yes', { class: 'process' }],
    ['no', 'no', { class: 'process' }],
  ])('appendfsync %s, no-appendfsync-on-rewrite %s', async (sync, pause, durability) => {
    const server = serverWith({ appendfsync: sync, 'no-appendfsync-on-rewrite': pause })
    expect(await inspect(server)).toEqual({ durability, skipped: [] })
  })

  it('a server that does not say whether it pauses promises nothing', async () => {
    expect((await inspect(serverWith({ appendfsync: 'always' }))).durability).toEqual({ class: 'process' })
  })
})
