import { describe, expect, it } from 'vitest'
import type { Operation, Settled, Verdict } from '../../../src/core/operation.js'
import { Twins } from '../../../src/core/twins.js'

const operation = { id: 'a', state: 'succeeded' } as Operation

function recording(verdict?: Verdict) {
  const settled: Settled | undefined = verdict && { verdict, operation }
  let calls = 0
  let answer = (_settled: Settled | undefined): void => {}
  const complete = () => {
    calls += 1
    return new Promise<Settled | undefined>((resolve) => {
      answer = resolve
    })
  }
  return { complete, count: () => calls, answer: () => answer(settled) }
}

describe('Twins', () => {
  it.each<[Verdict, string]>([
    ['won', 'same'],
    ['late', 'same'],
    ['conflict', 'same'],
    ['same', 'same'],
    ['duplicate', 'duplicate'],
  ])('the twin of one that is %s is %s, while that is found out and afterwards', async (verdict, told) => {
    for (const isOver of [false, true]) {
      const twins = new Twins()
      const { complete, count, answer } = recording(verdict)
      const first = twins.once('k', complete)
      if (isOver) answer()
      if (isOver) await first
      const second = twins.once('k', complete)
      answer()
      expect(await first).toEqual({ verdict, operation })
      expect(await second).toEqual({ verdict: told })
      expect(count()).toBe(1)
    }
  })

  it.each<[string, Verdict | undefined]>([
    ['is of another command', 'foreign'],
    ['belongs to an operation that is not there yet', undefined],
  ])('the twin of one that %s sees for itself', async (_, verdict) => {
    const twins = new Twins()
    const first = recording(verdict)
    const second = recording('won')
    const firstSettled = twins.once('k', first.complete)
    const secondSettled = twins.once('k', second.complete)
    first.answer()
    await firstSettled
    await new Promise((resolve) => setImmediate(resolve))
    second.answer()
    expect(await secondSettled).toEqual({ verdict: 'won', operation })
  })

  it('the twin of one that could not be recorded is recorded', async () => {
    const twins = new Twins()
    const first = twins.once('k', () => Promise.reject(new Error('reset')))
    const second = twins.once('k', async () => ({ verdict: 'won', operation }))
    await expect(first).rejects.toThrow('reset')
    expect(await second).toEqual({ verdict: 'won', operation })
  })

  it('one that comes a third time, or after a thousand others, is looked up again', async () => {
    const twins = new Twins()
    const complete = async (): Promise<Settled> => ({ verdict: 'won', operation })
    for (const told of ['won', 'same', 'won']) expect(await twins.once('k', complete)).toMatchObject({ verdict: told })
    for (let other = 0; other < 1000; other += 1) await twins.once(String(other), complete)
    expect(await twins.once('k', complete)).toMatchObject({ verdict: 'won' })
  })
})
