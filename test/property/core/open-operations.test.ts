import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OpenOperations } from '../../../src/core/open-operations.js'

const step = fc.oneof(
  fc.record({
    kind: fc.constant('open' as const),
    command: fc.constantFrom('Ask', 'Tell'),
    principal: fc.constantFrom('ada', 'bob', undefined),
    maxPerCommand: fc.constantFrom(2, 4, undefined),
  }),
  fc.record({ kind: fc.constant('close' as const), index: fc.nat(30) }),
  fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(400) }),
)

const TTL_MS = 1000

describe('OpenOperations', () => {
  it('FM-F6 FM-F7 never holds more than its limits, refuses only at them, and forgets nobody', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const open = new OpenOperations({ maxOpen: 6, maxPerPrincipal: 3 })
        const model = new Map<string, { command: string; principal: string | undefined; until: number }>()
        const count = (wanted: (entry: { command: string; principal: string | undefined }) => boolean) =>
          [...model.values()].filter(wanted).length
        let now = 0
        for (const [index, each] of steps.entries()) {
          const id = `op-${index}`
          if (each.kind === 'open') {
            const { command, principal, maxPerCommand = Number.POSITIVE_INFINITY } = each
            const isFull = model.size >= 6 || count((entry) => entry.command === command) >= maxPerCommand
            const isGreedy = principal !== undefined && count((entry) => entry.principal === principal) >= 3
            const opening = () => open.open(id, { command, principal, maxPerCommand: each.maxPerCommand }, now + TTL_MS)
            if (isFull || isGreedy) expect(opening).toThrow()
            else {
              opening()
              model.set(id, { command, principal, until: now + TTL_MS })
            }
          } else if (each.kind === 'close') {
            open.close(`op-${each.index}`)
            model.delete(`op-${each.index}`)
          } else {
            now += each.ms
            open.prune(now)
            for (const [known, { until }] of model) if (until <= now) model.delete(known)
          }
          expect(open.size).toBe(model.size)
          expect(open.has(id)).toBe(model.has(id))
        }
      }),
      { numRuns: 2000 },
    )
  })
})
