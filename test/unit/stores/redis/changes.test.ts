import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { begin, type Operation } from '../../../../src/core/operation.js'
import { Changes } from '../../../../src/stores/redis/changes.js'
import type { RedisConnection, SubscribeOptions } from '../../../../src/stores/redis/connection.js'
import { Scripts } from '../../../../src/stores/redis/runner.js'
import { newOperation } from '../../../support/operations.js'

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
function setup(pages?: readonly (readonly string[] | Error)[]) {
  let hearing: SubscribeOptions | undefined
  const reads: (() => Promise<Operation | undefined>)[] = []
  const left = [...(pages ?? [])]
  const connection: RedisConnection = {
    isReady: true,
    lastError: undefined,
    sendCommand: async () => {
      const page = left.shift() ?? ['0', '0-9']
      if (page instanceof Error) throw page
      return page
    },
    open: () => ({ isOurs: false, connected: Promise.resolve() }),
    close: () => {},
    subscribe: async (_channel, options) => {
      hearing = options
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
    read: async () => reads.shift()?.(),
  })
  return { changes, send: (text: string) => hearing?.onMessage(text), lose: () => hearing?.onGap(), reads }
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
    const { changes } = setup([
      ['0', '0-1'],
      ['0', '0-2', ...GARBAGE, REAL],
    ])
    const heard: string[] = []
    await changes.watch((id) => heard.push(id))
    await expect.poll(() => heard, { interval: 5 }).toEqual(['one', 'two'])
    expect(warn).toHaveBeenCalledOnce()
    await changes.close()
  })

  it('what changed while nothing was heard is asked for until there is an answer, and told once', async () => {
    const { changes, lose, reads } = setup()
    const heard: string[] = []
    await changes.watch((id) => heard.push(id))
    const [one, two] = [newOperation(), newOperation()].map((init) => begin(init, 1)) as [Operation, Operation]
    changes.see(one)
    changes.see(two)
    reads.push(() => Promise.reject(new Error('no connection')))
    reads.push(async () => two)
    reads.push(async () => ({ ...one, version: 2 }))
    reads.push(async () => two)
    lose()
    await expect.poll(() => heard, { interval: 5 }).toEqual([one.id])
    reads.push(async () => ({ ...one, version: 2 }))
    lose()
    // That there is no operation any more is a change as well.
    await expect.poll(() => heard, { interval: 5 }).toEqual([one.id, two.id])
    await changes.close()
  })

  it.each<[string, readonly (readonly string[] | Error)[]]>([
    ['in which that was impossible', [['0', '0-1'], new Error('no connection'), ['0', '0-1']]],
    [
      'in which it did not',
      [
        ['0', '0-1'],
        ['1', '0-1'],
      ],
    ],
  ])('who polls asks after a time %s', async (_, pages) => {
    const { changes, reads } = setup(pages)
    const heard: string[] = []
    await changes.watch((id) => heard.push(id))
    const operation = begin(newOperation(), 1)
    changes.see(operation)
    reads.push(async () => ({ ...operation, state: 'succeeded' }))
    await expect.poll(() => heard, { interval: 5 }).toEqual([operation.id])
    await changes.close()
  })
})
