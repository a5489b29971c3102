import { describe, expect, it } from 'vitest'
import { endpointOf, KIND_NAMES } from '../../../scripts/brokers/kinds.js'
import { probe } from '../../../scripts/brokers/probe.js'
import { serverFor } from '../../support/servers/server-for.js'

describe('the servers that tests share', () => {
  it.each(KIND_NAMES)(
    '%s: an address that answers, or a reason; the same for all who ask',
    { timeout: 120_000 },
    async (kind) => {
      const [first, second] = await Promise.all([serverFor(kind), serverFor(kind)])
      expect(second).toEqual(first)
      if (first.address === undefined) expect(first.reason).not.toBe('')
      else expect(await probe(kind, endpointOf(kind, first.address), 5000)).toBeUndefined()
    },
  )
})
