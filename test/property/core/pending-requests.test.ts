import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Deadlines } from '../../../src/core/deadlines.js'
import type { Operation } from '../../../src/core/operation.js'
import type { PendingRequest } from '../../../src/core/pending-request.js'
import { PendingRequests } from '../../../src/core/pending-requests.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'

const id = fc.constantFrom('a', 'b', 'c')
const step = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), id, seenVersion: fc.option(fc.nat(3), { nil: undefined }) }),
  fc.record({ kind: fc.constant('wake' as const), id, version: fc.nat(4), ends: fc.boolean() }),
  fc.record({ kind: fc.constant('leave' as const), index: fc.nat(20) }),
  fc.record({ kind: fc.constant('confirm' as const), id, isKnown: fc.boolean() }),
)

function operationOf(wanted: string, version: number, ends: boolean): Operation {
  const times = { createdAt: 0, updatedAt: 0, expiresAt: 0, retentionMs: 0 }
  return { id: wanted, command: 'Ask', state: ends ? 'succeeded' : 'running', version, published: true, ...times }
}

describe('PendingRequests', () => {
  it('FM-A10 FM-A11 wakes those that it should, keeps the others, and counts right', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const pending = new PendingRequests(new Deadlines(createFakeClock()), {
          maxPending: 99,
          maxPendingPerPrincipal: 99,
        })
        const open = new Set<PendingRequest>()
        const all: PendingRequest[] = []
        for (const each of steps) {
          const concerned = 'id' in each ? [...open].filter((request) => request.id === each.id) : []
          if (each.kind === 'add') {
            const request = pending.add(
              each.id,
              each.seenVersion === undefined ? undefined : { observer: { seenVersion: each.seenVersion } },
            )
            open.add(request)
            all.push(request)
          } else if (each.kind === 'wake') {
            pending.wake(operationOf(each.id, each.version, each.ends))
            for (const request of concerned) {
              const isNews = request.seenVersion !== undefined && each.version > request.seenVersion
              if (each.ends || isNews) open.delete(request)
            }
          } else if (each.kind === 'confirm') {
            pending.confirm(each.id, each.isKnown ? 'confirmed' : 'unconfirmed')
            if (!each.isKnown) for (const request of concerned) open.delete(request)
          } else {
            const request = all[each.index]
            request?.end({ kind: 'gone', reason: undefined })
            if (request !== undefined) open.delete(request)
          }
          expect(pending.size).toBe(open.size)
          expect([...pending.ids()].sort()).toEqual([...new Set([...open].map((request) => request.id))].sort())
          for (const request of all) expect(request.isOpen).toBe(open.has(request))
        }
      }),
      { numRuns: 2000 },
    )
  })
})
