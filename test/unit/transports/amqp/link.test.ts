import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../../../src/core/errors.js'
import { createFakeClock } from '../../../../src/testing/fake-clock.js'
import type { AmqpConnection } from '../../../../src/transports/amqp/client.js'
import { unavailable } from '../../../../src/transports/amqp/failures.js'
import { Health } from '../../../../src/transports/amqp/health.js'
import { Link, type LinkOptions, type Part } from '../../../../src/transports/amqp/link.js'

/** As much of a connection as a link touches: it ends when the test says so. */
class Wire extends EventEmitter {
  isClosed = false

  async close(): Promise<void> {
    this.isClosed = true
    this.emit('close')
  }
}

function setUp(options: Partial<LinkOptions> = {}) {
  const clock = createFakeClock()
  const health = new Health()
  const log: string[] = []
  health.listen({ down: () => log.push('down'), up: () => log.push('up') })
  const wires: Wire[] = []
  let failures: unknown[] = []
  const connect = async (): Promise<AmqpConnection> => {
    const failure = failures.shift()
    if (failure !== undefined) throw failure
    const wire = new Wire()
    wires.push(wire)
    return wire as unknown as AmqpConnection
  }
  const link = new Link({ clock, health, connect, waitForBroker: false, canReconnect: true, isOurs: true, ...options })
  const fail = (...errors: unknown[]) => {
    failures = errors
  }
  return { clock, link, log, wires, fail }
}

function part(log: string[], name: string, failures: unknown[] = []): Part {
  return {
    async attach() {
      log.push(`${name} on`)
      if (failures.length > 0) throw failures.shift()
    },
    detach: () => void log.push(`${name} off`),
  }
}

const away = () => unavailable('The broker is away.')

describe('a link to the broker', () => {
  it('sets everything up again in its order, and is sound only after that', async () => {
    const { clock, link, log, wires } = setUp()
    await link.start()
    await link.add(part(log, 'one'))
    await link.add(part(log, 'two'))
    wires[0]?.emit('close')
    expect(log.splice(0)).toEqual(['one on', 'two on', 'down', 'one off', 'two off'])
    await clock.advance(100)
    expect(log).toEqual(['one on', 'two on', 'up'])
    await link.close()
  })

  it('tries for ever, every two seconds at the latest, and says so once', async () => {
    const { clock, link, log, wires, fail } = setUp()
    await link.start()
    fail(...Array.from({ length: 50 }, away))
    wires[0]?.emit('close')
    await clock.advance(45_000)
    expect(log).toEqual(['down'])
    await clock.advance(60_000)
    expect(log).toEqual(['down', 'up'])
    expect(wires).toHaveLength(2)
    await link.close()
  })

  it('a connection that is lost while it is set up is tried again', async () => {
    const { clock, link, log, wires } = setUp()
    await link.start()
    await link.add({
      async attach() {
        if (wires.length === 2) wires[1]?.emit('close')
      },
      detach: () => {},
    })
    wires[0]?.emit('close')
    await clock.advance(3000)
    expect(wires).toHaveLength(3)
    expect(wires[1]?.isClosed).toBe(true)
    expect(log).toEqual(['down', 'up'])
    await link.close()
  })

  it('a part that has lost its channel is set up again, as often as it takes', async () => {
    const { clock, link, log } = setUp()
    const failures: unknown[] = []
    const one = part(log, 'one', failures)
    await link.start()
    await link.add(one)
    failures.push(new Error('not yet'), new Error('not yet'))
    link.repair(one, new Error('the queue was deleted'))
    await clock.advance(5000)
    expect(log).toEqual(['one on', 'one off', 'down', ...Array(2).fill(['one on', 'one off']).flat(), 'one on', 'up'])
    await link.close()
  })

  it('a part that is never set up, as the broker is silent, costs the connection, and gets another one', async () => {
    const { clock, link, log, wires } = setUp()
    const one = part(log, 'one')
    const attach = one.attach.bind(one)
    one.attach = (connection) => {
      const attached = attach(connection)
      return log.includes('down') && wires.length < 3 ? new Promise(() => {}) : attached
    }
    await link.start()
    await link.add(one)
    link.repair(one, new Error('the queue was deleted'))
    await clock.advance(9000)
    expect([wires.length, ...log]).toEqual([1, 'one on', 'one off', 'down', 'one on'])
    // The second connection is silent as well.
    await clock.advance(15_000)
    expect(wires.map(({ isClosed }) => isClosed)).toEqual([true, true, false])
    expect(log.slice(4)).toEqual(['one off', 'one on', 'one off', 'one on', 'up'])
    await link.close()
    expect(clock.pending).toBe(0)
  })

  it('a repair that is overtaken by a new connection leaves the part alone', async () => {
    const { clock, link, log, wires } = setUp()
    const one = part(log, 'one')
    await link.start()
    await link.add(one)
    let fail = (_error: unknown) => {}
    const attach = one.attach.bind(one)
    one.attach = (connection) => {
      if (wires.length > 1) return attach(connection)
      return new Promise((_resolve, reject) => {
        fail = reject
      })
    }
    link.repair(one, new Error('the queue was deleted'))
    wires[0]?.emit('close')
    await clock.advance(500)
    fail(new Error('the connection is gone'))
    await clock.advance(20_000)
    expect(log).toEqual(['one on', 'one off', 'down', 'one off', 'one on', 'up'])
    await link.close()
  })

  it('a removed part is neither repaired nor missed', async () => {
    const { clock, link, log } = setUp()
    const one = part(log, 'one', [])
    await link.start()
    await link.add(one)
    link.remove(one)
    link.repair(one, new Error('too late'))
    await clock.advance(5000)
    expect(log).toEqual(['one on'])
    await link.close()
  })

  it('a blocked connection is down until it is unblocked, or gone', async () => {
    const { clock, link, log, wires } = setUp()
    await link.start()
    wires[0]?.emit('blocked', 'low on memory')
    expect(link.blocked?.message).toContain('low on memory')
    wires[0]?.emit('unblocked')
    expect([link.blocked, ...log.splice(0)]).toEqual([undefined, 'down', 'up'])
    wires[0]?.emit('blocked', 'low on disk')
    wires[0]?.emit('close')
    await clock.advance(1000)
    expect([link.blocked, ...log]).toEqual([undefined, 'down', 'up'])
    await link.close()
  })

  it('FM-B8 an alarm on a connection that is given up while it is set up ends with it', async () => {
    const { clock, link, log, wires } = setUp()
    const one = part(log, 'one')
    await link.start()
    await link.add(one)
    one.attach = async () => {
      if (wires.length > 2) return
      wires[1]?.emit('blocked', 'low on memory')
      throw away()
    }
    wires[0]?.emit('close')
    await clock.advance(3000)
    expect([wires.length, link.blocked, log.at(-1)]).toEqual([3, undefined, 'up'])
    // What it still says is about nobody.
    wires[1]?.emit('blocked', 'low on memory')
    expect([link.blocked, log.at(-1)]).toEqual([undefined, 'up'])
    wires[2]?.emit('blocked', 'low on disk')
    wires[1]?.emit('unblocked')
    expect(link.blocked?.message).toContain('low on disk')
    wires[2]?.emit('unblocked')
    expect([link.blocked, log.at(-1)]).toEqual([undefined, 'up'])
    await link.close()
  })

  it('the first failure of a start is final, unless it is to wait; what cannot get better is final anyway', async () => {
    const first = setUp()
    first.fail(away())
    await expect(first.link.start()).rejects.toMatchObject({ code: 'ERR_TRANSPORT_UNAVAILABLE' })
    const patient = setUp({ waitForBroker: true })
    patient.fail(away(), away())
    const starting = patient.link.start()
    await patient.clock.advance(1000)
    await starting
    expect(patient.log).toEqual(['down', 'up'])
    patient.fail(new GatewayError('ERR_CONFIG', 'a wrong password'))
    await expect(patient.link.start()).rejects.toMatchObject({ code: 'ERR_CONFIG' })
    await patient.link.close()
  })

  it('a connection of somebody else is neither made again nor closed', async () => {
    const { clock, link, log, wires } = setUp({ canReconnect: false, isOurs: false })
    await link.start()
    wires[0]?.emit('close')
    await clock.advance(60_000)
    expect([wires.length, ...log]).toEqual([1, 'down'])
    await link.close()
    expect(wires[0]?.isClosed).toBe(false)
    expect(wires[0]?.eventNames()).toEqual([])
  })

  it('a part that cannot be set up yet waits as the start does, where that was asked for', async () => {
    const first = setUp()
    await first.link.start()
    await expect(first.link.add(part([], 'a', [new Error('dropped')]))).rejects.toMatchObject({
      code: 'ERR_TRANSPORT_UNAVAILABLE',
    })
    const patient = setUp({ waitForBroker: true })
    await patient.link.start()
    const log: string[] = []
    const adding = patient.link.add(part(log, 'a', [new Error('dropped'), new Error('dropped again')]))
    await patient.clock.advance(2000)
    await adding
    expect(log.filter((line) => line === 'a on')).toHaveLength(3)
    const wrong = part([], 'b', [new GatewayError('ERR_CONFIG', 'other arguments')])
    await expect(patient.link.add(wrong)).rejects.toMatchObject({ code: 'ERR_CONFIG' })
    const never = patient.link.add(part([], 'c', Array(99).fill(new Error('dropped'))))
    const ended = expect(never).rejects.toMatchObject({ code: 'ERR_TRANSPORT_UNAVAILABLE' })
    await patient.clock.advance(5000)
    await patient.link.close()
    await ended
    expect(patient.clock.pending).toBe(0)
  })

  it('a close ends all that is tried', async () => {
    const { clock, link, wires } = setUp()
    await link.start()
    wires[0]?.emit('close')
    await link.close()
    await clock.advance(60_000)
    expect(wires).toHaveLength(1)
    expect(clock.pending).toBe(0)
  })
})
