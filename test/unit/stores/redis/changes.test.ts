import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { Changes } from '../../../../src/stores/redis/changes.js'
import type { RedisConnection } from '../../../../src/stores/redis/connection.js'
import { Scripts } from '../../../../src/stores/redis/runner.js'

const GARBAGE = [
  '',
  'garbage',
  '{"a":1}',
  'null',
  '5',
  '[]',
  '["other"]',
  '["other","id"]',
  '["other",[5]]',
  '[5,["id"]]',
]
const REAL = '["other",["one","two"]]'

/** Changes over a connection that gives these pages to who polls; without pages it can subscribe. */
function setup(pages?: readonly (readonly string[])[]) {
  let send = (_text: string): void => {}
  const left = [...(pages ?? [])]
  const connection: RedisConnection = {
    isReady: true,
    lastError: undefined,
    sendCommand: async () => left.shift() ?? ['0-9'],
    open: () => ({ isOurs: false, connected: Promise.resolve() }),
    close: () => {},
    subscribe: async (_channel, onMessage) => {
      send = onMessage
      return pages === undefined ? () => {} : undefined
    },
  }
  const scripts = new Scripts(connection, ['p:', 'self'])
  const changes = new Changes({
    connection,
    scripts,
    prefix: 'p:',
    self: 'self',
    pollEveryMs: 5,
    connectTimeoutMs: 1000,
  })
  return { changes, send: (text: string) => send(text) }
}

describe('changes that others announce in Redis', () => {
  const warn = vi.spyOn(process, 'emitWarning')
  beforeEach(() => void warn.mockReset().mockImplementation(() => {}))
  afterAll(() => warn.mockRestore())

  it('what is no announcement is passed over, and told once', async () => {
    const { changes, send } = setup()
    const heard: string[] = []
    await changes.watch((id) => heard.push(id))
    for (const text of GARBAGE) expect(() => send(text)).not.toThrow()
    send(REAL)
    send('["self",["mine"]]')
    expect(heard).toEqual(['one', 'two'])
    expect(warn).toHaveBeenCalledOnce()
    expect(warn).toHaveBeenCalledWith(expect.stringContaining('p:changes'), { type: 'RespondAsyncWarning' })
    await changes.close()
  })

  it('a bad entry of the log does not take the others of its page along', async () => {
    const { changes } = setup([['0-1'], ['0-2', ...GARBAGE, REAL]])
    const heard: string[] = []
    await changes.watch((id) => heard.push(id))
    await expect.poll(() => heard, { interval: 5 }).toEqual(['one', 'two'])
    expect(warn).toHaveBeenCalledOnce()
    await changes.close()
  })
})
