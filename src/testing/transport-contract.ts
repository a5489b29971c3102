import assert from 'node:assert/strict'
import { copyHeaders } from '../core/event.js'
import type { Transport } from '../core/transport.js'
import { type Body, type ContractCase, type ContractOptions, refuses, toCases } from './contract.js'
import { createGate, idsOf, type MessageInit, TransportKit } from './transport-kit.js'

/**
 * The promises of the transport seam, to be kept by every transport.
 * `create` gives a transport that is not started; all of them may be connected to one broker.
 */
export function transportContract(
  create: () => Promise<Transport> | Transport,
  options: ContractOptions = {},
): ContractCase[] {
  const open = async (): Promise<TransportKit> => {
    const transport = await create()
    await transport.start()
    return new TransportKit(transport, options)
  }
  const unstarted: Body<TransportKit> = async ({ transport }) => {
    ...
  }
  return toCases(CASES, open, options)
}

const many = (count: number): MessageInit[] => Array.from({ length: count }, (_, index) => ({ data: index }))

const OWN: Record<string, Body<TransportKit>> = {
  'an own reader gets what is published from its opening on': async (kit) => {
    await kit.answer({})
    const inbox = await kit.own()
    const later = await kit.answer({}, {})
    await kit.until(() => inbox.ids.length >= 2)
    assert.deepEqual(inbox.ids, idsOf(later))
    assert.equal(inbox.deliveries[0]?.attempt, 1)
  },
}
