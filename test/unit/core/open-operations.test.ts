import { describe, expect, it } from 'vitest'
import { OpenOperations } from '../../../src/core/open-operations.js'

function owner(command = 'Ask', principal?: string, maxPerCommand?: number) {
  return { command, principal, maxPerCommand }
}

describe('OpenOperations', () => {
  it('FM-P2 refuses at the limit of the gateway, before anything is written', () => {
    const open = new OpenOperations({ maxOpen: 2, maxPerPrincipal: undefined })
    open.open('a', owner(), 1)
    open.open('b', owner(), 1)
    expect(() => open.open('c', owner(), 1)).toThrow(
      expect.objectContaining({
        code: 'ERR_OVERLOADED',
        message: 'The gateway has 2 running operations, which is the limit; nothing was started.',
        details: { outcome: 'not-accepted' },
      }),
    )
    expect([open.size, open.has('a'), open.has('c')]).toEqual([2, true, false])
    open.close('a')
    open.open('c', owner(), 1)
    expect(open.size).toBe(2)
  })

  it('FM-F6 refuses at the limit of a command; the others go on', () => {
    const open = new OpenOperations({ maxOpen: 10, maxPerPrincipal: undefined })
    open.open('a', owner('Slow', undefined, 1), 1)
    expect(() => open.open('b', owner('Slow', undefined, 1), 1)).toThrow(
      expect.objectContaining({
        code: 'ERR_TOO_MANY_REQUESTS',
        message: expect.stringContaining('The command Slow has 1'),
      }),
    )
    open.open('c', owner('Fast', undefined, 1), 1)
    expect(open.size).toBe(2)
  })

  it('FM-F7 refuses at the limit of a principal; other callers and the anonymous go on', () => {
    const open = new OpenOperations({ maxOpen: 10, maxPerPrincipal: 2 })
    open.open('a', owner('Ask', 'ada'), 1)
    open.open('b', owner('Tell', 'ada'), 1)
    expect(() => open.open('c', owner('Ask', 'ada'), 1)).toThrow(
      expect.objectContaining({ code: 'ERR_TOO_MANY_REQUESTS', message: expect.stringContaining('The caller has 2') }),
    )
    open.open('d', owner('Ask', 'bob'), 1)
    for (const id of ['e', 'f', 'g']) open.open(id, owner(), 1)
    open.close('b')
    open.open('c', owner('Ask', 'ada'), 1)
    expect(open.size).toBe(6)
  })

  it('a refused operation counts for nobody', () => {
    const open = new OpenOperations({ maxOpen: 10, maxPerPrincipal: 1 })
    open.open('a', owner('Ask', 'ada', 2), 1)
    expect(() => open.open('b', owner('Ask', 'ada', 2), 1)).toThrow()
    open.open('c', owner('Ask', 'bob', 2), 1)
    expect(() => open.open('d', owner('Ask', 'cy', 2), 1)).toThrow(/The command Ask has 2/)
    open.close('c')
    open.open('d', owner('Ask', 'cy', 2), 1)
  })

  it('closing twice, or what was never open, changes nothing', () => {
    const open = new OpenOperations({ maxOpen: 10, maxPerPrincipal: 1 })
    open.open('a', owner('Ask', 'ada', 2), 1)
    open.open('b', owner('Ask', undefined, 2), 1)
    for (const id of ['a', 'a', 'b', 'unknown']) open.close(id)
    expect(open.size).toBe(0)
    open.open('c', owner('Ask', 'ada', 1), 1)
    expect(() => open.open('d', owner('Ask', 'bob', 1), 1)).toThrow()
  })

  it('FM-F1 drops what must have expired although nobody has said so', () => {
    const open = new OpenOperations({ maxOpen: 3, maxPerPrincipal: 3 })
    open.open('a', owner('Ask', 'ada'), 100)
    open.open('b', owner('Ask', 'ada'), 100)
    open.open('c', owner('Ask', 'ada'), 101)
    open.prune(99)
    expect(open.size).toBe(3)
    open.prune(100)
    expect([open.size, open.has('c')]).toEqual([1, true])
    open.prune(1000)
    expect(open.size).toBe(0)
    open.prune(1000)
  })
})
