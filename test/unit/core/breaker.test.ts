import { describe, expect, it, vi } from 'vitest'
import { Breaker } from '../../../src/core/breaker.js'
import { Deadlines } from '../../../src/core/deadlines.js'
import { GatewayError } from '../../../src/core/errors.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'

function setup() {
  const clock = createFakeClock()
  const deadlines = new Deadlines(clock)
  const onChange = vi.fn<(isOpen: boolean, cause?: unknown) => void>()
  const codes = { unavailable: 'ERR_TRANSPORT_UNAVAILABLE', uncertain: 'ERR_PUBLISH_UNCONFIRMED' } as const
  const breaker = new Breaker({ clock, deadlines, ...codes, timeoutMs: 1000, onChange })
  return { clock, deadlines, onChange, breaker }
}

type Setup = ReturnType<typeof setup>

const down = new GatewayError('ERR_TRANSPORT_UNAVAILABLE', 'down', { outcome: 'not-accepted' })

async function fail({ breaker }: Setup, times: number, error: unknown = down): Promise<void> {
  for (let count = 0; count < times; count += 1) {
    await breaker.run(() => Promise.reject(error)).catch(() => {})
  }
}

describe('Breaker', () => {
  it('gives what the call gives, and leaves no deadline', async () => {
    const { breaker, deadlines } = setup()
    await expect(breaker.run(async () => 'value')).resolves.toBe('value')
    await expect(breaker.run(() => Promise.reject(down))).rejects.toBe(down)
    expect(deadlines.size).toBe(0)
  })

  it('FM-B10 rejects a call that does not settle, as one whose outcome is unknown', async () => {
    const { breaker, clock, deadlines } = setup()
    const call = breaker.run(() => new Promise(() => {}))
    const seen = vi.fn()
    call.catch(seen)
    await clock.advance(980)
    expect(seen).not.toHaveBeenCalled()
    await clock.advance(50)
    expect(seen).toHaveBeenCalledWith(
      expect.objectContaining({ code: 'ERR_PUBLISH_UNCONFIRMED', details: { outcome: 'unknown' } }),
    )
    expect(deadlines.size).toBe(0)
  })

  it('takes no notice of a call that settles after its time', async () => {
    const { breaker, clock } = setup()
    let finish: (value: string) => void = () => {}
    const call = breaker.run(() => new Promise<string>((resolve) => (finish = resolve)))
    call.catch(() => {})
    await clock.advance(1100)
    finish('late')
    await expect(call).rejects.toMatchObject({ code: 'ERR_PUBLISH_UNCONFIRMED' })
  })

  it('FM-D2 opens for calls that all come to a good end too late, each counted once', async () => {
    const { breaker, clock, onChange } = setup()
    for (let count = 1; count <= 5; count += 1) {
      const late = () =>
        new Promise<void>((resolve, reject) => clock.setTimer(count % 2 ? resolve : () => reject(down), 1200))
      const call = breaker.run(late)
      call.catch(() => {})
      await clock.advance(1300)
      expect(breaker.isOpen).toBe(count === 5)
    }
    expect(onChange).toHaveBeenCalledTimes(1)
  })

  it('what was asked before a loss was reported says nothing about the time after it', async () => {
    const { breaker, clock } = setup()
    const answered = breaker.probe(() => new Promise<void>((resolve) => clock.setTimer(resolve, 100)))
    breaker.report(true, down)
    await clock.advance(200)
    await answered
    expect(breaker.isOpen).toBe(true)
    await breaker.probe(async () => {})
    expect(breaker.isOpen).toBe(false)
  })

  it.each<[string, () => Promise<never>]>([
    ['rejects', () => Promise.reject(new Error('ECONNRESET'))],
    [
      'throws',
      () => {
        throw new Error('ECONNRESET')
      },
    ],
  ])('FM-D3 of a call that %s with an error that is not ours nobody knows the outcome', async (_, call) => {
    const { breaker } = setup()
    const error = await breaker.run(call).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'ERR_PUBLISH_UNCONFIRMED', details: { outcome: 'unknown' } })
    expect((error as Error).cause).toEqual(new Error('ECONNRESET'))
  })

  it('FM-B7 opens after five failures in a row, and then refuses at once', async () => {
    const bench = setup()
    const { breaker, onChange } = bench
    await fail(bench, 4)
    await breaker.run(async () => {})
    await fail(bench, 4)
    expect([breaker.isOpen, breaker.admits()]).toEqual([false, true])
    expect(onChange).not.toHaveBeenCalled()
    await fail(bench, 1)
    expect([breaker.isOpen, breaker.admits()]).toEqual([true, false])
    expect(onChange.mock.calls).toEqual([[true, down]])
    expect(breaker.refusal()).toMatchObject({
      code: 'ERR_TRANSPORT_UNAVAILABLE',
      retryable: true,
      details: { outcome: 'not-accepted' },
    })
  })

  it('FM-D2 time-outs and foreign errors count as failures', async () => {
    const bench = setup()
    const { breaker, clock } = bench
    for (let count = 0; count < 3; count += 1) breaker.run(() => new Promise(() => {})).catch(() => {})
    await clock.advance(1100)
    await fail(bench, 2, new Error('boom'))
    expect(breaker.isOpen).toBe(true)
  })

  it('orderly answers do not count, whatever they say', async () => {
    const bench = setup()
    for (const code of ['ERR_STORE_FULL', 'ERR_PUBLISH_REJECTED', 'ERR_CONFIG'] as const) {
      await fail(bench, 5, new GatewayError(code, 'no'))
    }
    expect(bench.breaker.isOpen).toBe(false)
  })

  it('admits one call a second while it is open, and closes with the first that succeeds', async () => {
    const bench = setup()
    const { breaker, clock, onChange } = bench
    await fail(bench, 5)
    await clock.advance(999)
    expect(breaker.admits()).toBe(false)
    await clock.advance(1)
    expect([breaker.admits(), breaker.admits()]).toEqual([true, false])
    await fail(bench, 1)
    await clock.advance(1000)
    expect([breaker.admits(), breaker.admits()]).toEqual([true, false])
    expect(onChange).toHaveBeenCalledTimes(1)
    await breaker.run(async () => {})
    expect([breaker.isOpen, breaker.admits(), breaker.admits()]).toEqual([false, true, true])
    expect(onChange.mock.calls[1]).toEqual([false])
    await fail(bench, 4)
    expect(breaker.isOpen).toBe(false)
  })

  it('opens and closes when the dependency says so itself, once', async () => {
    const { breaker, clock, onChange } = setup()
    breaker.report(false)
    breaker.report(true, 'socket closed')
    breaker.report(true, 'again')
    expect([breaker.isOpen, breaker.admits()]).toEqual([true, false])
    await clock.advance(1000)
    expect(breaker.admits()).toBe(false)
    breaker.report(false)
    breaker.report(false)
    expect(breaker.isOpen).toBe(false)
    expect(onChange.mock.calls).toEqual([[true, 'socket closed'], [false]])
  })

  it('a probe that succeeds closes it although the dependency has not said that it is back', async () => {
    const { breaker, onChange } = setup()
    breaker.report(true)
    await breaker.probe(async () => {})
    expect(breaker.isOpen).toBe(false)
    expect(onChange).toHaveBeenCalledTimes(2)
  })

  it('a call that succeeds does not: a broker may take messages while nobody reads the results', async () => {
    const { breaker, onChange } = setup()
    breaker.report(true)
    await breaker.run(async () => {})
    await expect(breaker.probe(async () => Promise.reject(new Error('no consumer')))).rejects.toThrow()
    expect(breaker.isOpen).toBe(true)
    const slow = breaker.probe(async () => breaker.report(true))
    await slow
    expect(breaker.isOpen).toBe(true)
    expect(onChange).toHaveBeenCalledTimes(1)
  })

  it('FM-D2 a probe that is refused opens at once, and the next one that succeeds closes', async () => {
    const { breaker, clock, onChange } = setup()
    await expect(breaker.probe(() => Promise.reject(down))).rejects.toBe(down)
    expect([breaker.isOpen, breaker.admits()]).toEqual([true, false])
    await clock.advance(1000)
    // Only a probe closes, so that no request is spent on finding out.
    expect(breaker.admits()).toBe(false)
    await expect(breaker.probe(() => Promise.reject(down))).rejects.toBe(down)
    await breaker.probe(async () => {})
    expect(breaker.isOpen).toBe(false)
    expect(onChange.mock.calls).toEqual([[true, down], [false]])
  })

  it('a probe without a certain answer is one failure', async () => {
    const { breaker, clock } = setup()
    const unknown = new GatewayError('ERR_TRANSPORT_UNAVAILABLE', 'no answer', { outcome: 'unknown' })
    const other = new GatewayError('ERR_PUBLISH_REJECTED', 'no')
    for (const error of [unknown, new Error('boom'), other]) {
      await breaker.probe(() => Promise.reject(error)).catch(() => {})
    }
    const silent = () => new Promise<void>(() => {})
    for (let count = 0; count < 2; count += 1) breaker.probe(silent).catch(() => {})
    await clock.advance(1100)
    expect(breaker.isOpen).toBe(false)
    breaker.probe(silent).catch(() => {})
    await clock.advance(1100)
    expect(breaker.isOpen).toBe(true)
  })

  it('a probe that was refused before the dependency said that it is back does not open', async () => {
    const { breaker, clock } = setup()
    breaker.report(true, down)
    const refused = breaker.probe(() => new Promise<void>((_, reject) => clock.setTimer(() => reject(down), 100)))
    refused.catch(() => {})
    breaker.report(false)
    await clock.advance(200)
    await expect(refused).rejects.toBe(down)
    expect(breaker.isOpen).toBe(false)
  })
})
