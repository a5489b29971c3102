import { describe, expect, it } from 'vitest'
import { readRuns } from '../../chaos/options.js'

describe('the options of the fault suite', () => {
  it.each([
    [
      'amqp',
      { transport: 'amqp', store: 'redis', requests: 100_000, rounds: 20, killEvery: 10, faults: ['broker killed'] },
    ],
    ['kafka', { transport: 'kafka', store: 'postgres', requests: 50_000, rounds: 5, killEvery: 10 }],
    ['soak', { transport: 'amqp', store: 'postgres', seconds: 1800, soak: true }],
  ])('--long %s is one run of the figures', (name, expected) => {
    const runs = readRuns(['--long', name])
    expect(runs).toHaveLength(1)
    expect(runs[0]).toMatchObject(expected)
  })

  it.each([['amqp'], ['kafka']])('the requests of --long %s last longer than its faults', (name) => {
    const [run] = readRuns(['--long', name])
    expect((run?.requests ?? 0) / (run?.rate ?? 1)).toBeGreaterThan((run?.rounds ?? 0) * (run?.every ?? 0))
  })

  it('further options change the named runs', () => {
    expect(readRuns(['--long', 'amqp', '--requests', '10'])[0]).toMatchObject({ store: 'redis', requests: 10 })
    expect(readRuns(['--ci', '--seed', '7']).map(({ seed, seconds }) => [seed, seconds])).toEqual([
      [7, 30],
      [7, 30],
    ])
  })

  it('an unknown name is refused, and the others are named', () => {
    expect(() => readRuns(['--long'])).toThrow('--long is one of amqp, kafka, soak.')
    expect(() => readRuns(['--long', 'nats'])).toThrow('--long is one of amqp, kafka, soak.')
  })
})
