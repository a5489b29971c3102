import { describe, expect, it } from 'vitest'
import { resolveSettings } from '../../../../src/transports/amqp/options.js'
import { Topology } from '../../../../src/transports/amqp/topology.js'

const topology = () => new Topology(resolveSettings({ url: 'amqp://127.0.0.1', prefix: 'shop.orders' }))

describe('the names of queues', () => {
  it('FM-C2 that of an instance is new with each start: what was meant for its predecessor stays away', () => {
    const names = Array.from({ length: 100 }, () => topology().ownQueue())
    expect(new Set(names).size).toBe(100)
    for (const name of names) expect(name).toMatch(/^shop-orders-own-[0-9A-Z]{26}$/)
  })

  it('that of the recorders is the same for all instances', () => {
    expect(topology().recorderQueue('gateway.recorder')).toBe(topology().recorderQueue('gateway.recorder'))
  })
})
