import { describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import type { GatewayError } from '../../../src/core/errors.js'
import { ALL_PAUSES_MS, ada, brief, made, setup } from './setup.js'

const FAILED = { reason: 'error', message: 'The request could not be carried out.' }

describe('retries', () => {
  it('tries again in place until an attempt succeeds', async () => {
    const { worker, told, results, send, clock } = await setup()
    const attempts: number[] = []
    await worker
      .handle('Requested', ({ attempt }) => {
        attempts.push(attempt)
        if (attempt < 3) throw new Error(`no ${attempt}`)
        return made
      })
      .start()
    await send()
    await clock.advance(ALL_PAUSES_MS)
    expect(attempts).toEqual([1, 2, 3])
    expect(brief(results)).toEqual([['Made', { id: '1' }]])
    expect(told.retry).toMatchObject([
      { attempt: 1, error: { message: 'no 1' } },
      { attempt: 2, error: { message: 'no 2' } },
    ])
    expect(told.error).toEqual([])
  })

  it('doubles the pauses up to 30 seconds, each a random part of them', async () => {
    const random = vi.spyOn(Math, 'random').mockReturnValue(0.5)
    const { worker, told, send, clock } = await setup({ retries: { attempts: 12 } })
    await worker.handle('Requested', () => Promise.reject(new Error('no'))).start()
    await send()
    await clock.advance(600_000)
    random.mockRestore()
    const delays = told.retry.map(({ delayMs }) => delayMs)
    expect(delays).toEqual([50, 100, 200, 400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000])
    expect(told.parked).toHaveLength(1)
  })

  it('FM-H23 says nothing of the error to clients: a general failure, the message parked, the error announced', async () => {
    const { worker, told, broker, results, send, clock } = await setup()
    const error = new Error('password of db1 is hunter2')
    await worker
      .handle('Requested', async () => {
        throw error
      })
      .start()
    const request = await send({ key: 'k' })
    await clock.advance(ALL_PAUSES_MS)
    expect(brief(results)).toEqual([['Requested::Failed', FAILED]])
    expect(results).toMatchObject([{ correlationId: 'op-1', causationId: request.id, key: 'k' }])
    expect(Buffer.from(results[0]?.body ?? []).toString()).not.toMatch(/hunter2|Error|at /)
    expect(broker.parked).toMatchObject([{ message: { id: request.id }, group: 'workers' }])
    expect(told.error).toMatchObject([{ code: 'ERR_WORKER_FAILED', cause: error }])
    expect(told.retry).toHaveLength(4)
    expect(told.parked).toMatchObject([{ request: { id: request.id }, results: [{ type: 'Requested::Failed' }] }])
    expect(told.handled).toEqual([])
  })

  it.each([
    ['no event', { data: 1 }, /^A handler of Requested returned what is no event/],
    ['of a type without a schema', { type: 'Mad', data: {} }, /^There is no schema for Mad/],
    ['of other data than its schema says', { type: 'Made', data: { id: 5 } }, /id/],
  ])('does not run the handler again for a result that is none: %s', async (_, result, message) => {
    const events = { Requested: z.object({ name: z.string() }), Made: z.object({ id: z.string() }) }
    const { worker, told, results, broker, send, clock } = await setup({ events } as never)
    const handler = vi.fn(() => result as never)
    await worker.handle('Requested', handler).start()
    await send()
    await clock.advance(ALL_PAUSES_MS)
    expect(handler).toHaveBeenCalledOnce()
    expect(brief(results)).toEqual([['Requested::Failed', FAILED]])
    expect([told.retry, broker.parked.length]).toEqual([[], 1])
    const [error] = told.error as GatewayError[]
    expect(String((error?.cause as Error | undefined)?.message ?? error?.message)).toMatch(message)
  })

  it('publishes the declared failure event, made from the error and the request', async () => {
    const { worker, results, send } = await setup({ retries: { attempts: 1 } })
    await worker
      .handle('Requested', () => Promise.reject(new Error('down')), {
        failure: (error, { data, correlationId }) => ({
          type: 'NotMade',
          data: { reason: `${data?.name} ${correlationId} ${error instanceof Error}` },
        }),
      })
      .start()
    await send()
    expect(brief(results)).toEqual([['NotMade', { reason: 'Ada op-1 true' }]])
  })

  it('falls back to the general failure when the declared one cannot be made', async () => {
    const { worker, told, results, broker, send } = await setup({ retries: { attempts: 1 } })
    const failure = () => {
      throw new Error('failure of the failure')
    }
    await worker.handle('Requested', () => Promise.reject('text'), { failure }).start()
    await send()
    expect(brief(results)).toEqual([['Requested::Failed', FAILED]])
    expect(told.error).toMatchObject([{ cause: 'text' }, { cause: { message: 'failure of the failure' } }])
    expect(broker.parked).toHaveLength(1)
  })

  it('treats what is no event, and data without a JSON form, as a failed attempt', async () => {
    const { worker, told, results, send } = await setup({ retries: { attempts: 1 } })
    const answers: unknown[] = [{ id: 1 }, 'Made', { type: 'Made', data: { big: 1n } }]
    await worker.handle('Requested', () => answers.shift() as undefined).start()
    for (let count = 0; count < 3; count += 1) await send()
    expect(brief(results)).toEqual(Array.from({ length: 3 }, () => ['Requested::Failed', FAILED]))
    expect(told.error.map(({ code }) => code)).toEqual(['ERR_WORKER_FAILED', 'ERR_WORKER_FAILED', 'ERR_INVALID_INPUT'])
  })

  it('gives every attempt the data as they came', async () => {
    const { worker, send, clock } = await setup()
    const names: string[] = []
    await worker
      .handle('Requested', ({ data, attempt }) => {
        names.push(data.name)
        data.name = 'changed'
        if (attempt === 1) throw new Error('once')
        return made
      })
      .start()
    await send()
    await clock.advance(ALL_PAUSES_MS)
    expect(names).toEqual(['Ada', 'Ada'])
  })

  it('aborts the signal of an attempt that takes too long, and goes on with the next', async () => {
    const { worker, told, results, send, clock } = await setup({ timeoutMs: 50, retries: { backoffMs: 0 } })
    const reasons: unknown[] = []
    await worker
      .handle('Requested', ({ signal, attempt }) => {
        if (attempt === 2) return made
        signal.addEventListener('abort', () => reasons.push(signal.reason))
        return new Promise(() => {})
      })
      .start()
    await send()
    await clock.advance(49)
    expect(reasons).toEqual([])
    await clock.advance(1)
    expect(reasons).toMatchObject([{ code: 'ERR_WORKER_FAILED', message: 'No result after 50 ms.' }])
    await clock.flush()
    expect(told.retry).toHaveLength(1)
    expect(brief(results)).toEqual([['Made', { id: '1' }]])
    expect(clock.pending).toBe(0)
  })
})

describe('requests that are not valid', () => {
  const notJson = { body: Buffer.from('{'), contentType: 'application/json' }

  it('FM-C9 fails and parks a request that cannot be parsed, without any attempt', async () => {
    const { worker, told, broker, results, send } = await setup()
    const handler = vi.fn(() => made)
    await worker.handle('Requested', handler).start()
    await send(notJson)
    expect(handler).not.toHaveBeenCalled()
    expect(brief(results)).toEqual([['Requested::Failed', { reason: 'invalid', message: 'The request is not valid.' }]])
    expect(told.error).toMatchObject([{ code: 'ERR_MALFORMED_BODY' }])
    expect([broker.parked.length, told.retry.length]).toEqual([1, 0])
    await send({ data: ada })
    expect(handler).toHaveBeenCalledOnce()
  })

  it('gives the declared failure no data', async () => {
    const { worker, results, send } = await setup()
    await worker
      .handle('Requested', () => made, {
        failure: (error, { data }) => ({
          type: 'NotMade',
          data: { reason: `${(error as GatewayError).code} ${data}` },
        }),
      })
      .start()
    await send(notJson)
    expect(brief(results)).toEqual([['NotMade', { reason: 'ERR_MALFORMED_BODY undefined' }]])
  })
})
