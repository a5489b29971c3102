import { memoryStore } from 'respond-async'
import { describe, expect, it, vi } from 'vitest'
import { GatewayError } from '../../../src/core/errors.js'
import { brief, made, setup, withPublish } from './setup.js'

const GENERAL = ['Requested::Failed', { reason: 'error', message: 'The request could not be carried out.' }]

/** A worker whose broker takes no results of these types. */
function setupWith(types: readonly string[], options: Parameters<typeof setup>[0] = {}) {
  const refused: string[] = []
  const wrap: Parameters<typeof setup>[1] = (transport) =>
    withPublish(transport, async (message, to) => {
      if (!types.includes(message.type)) return transport.publish(message, to)
      refused.push(message.type)
      throw new GatewayError('ERR_PUBLISH_REJECTED', 'too large', { outcome: 'not-accepted', isPermanent: true })
    })
  return setup(options, wrap).then((world) => ({ ...world, refused }))
}

describe('a result that the broker will never take', () => {
  it('FM-B13 is a failure at once: the handler runs once, and the request is parked, counted and reported', async () => {
    const { worker, told, broker, results, send, clock } = await setupWith(['Made'])
    let runs = 0
    const handler = () => {
      runs += 1
      return made
    }
    await worker.handle('Requested', handler).start()
    const request = await send()
    await clock.advance(60_000)
    expect(runs).toBe(1)
    expect(brief(results)).toEqual([GENERAL])
    expect(told.parked).toMatchObject([{ request: { id: request.id }, results: [{ type: 'Requested::Failed' }] }])
    expect([told.handled, told.requeued]).toEqual([[], []])
    expect(told.error.map(({ code, message }) => [code, message])).toEqual([['ERR_PUBLISH_REJECTED', 'too large']])
    expect(broker.parked).toHaveLength(1)
  })

  it.each([
    ['is told by the declared failure', ['Made'], [['NotMade', { reason: 'large' }]]],
    ['is told in general where that is too large as well', ['Made', 'NotMade'], [GENERAL]],
  ] as const)('%s', async (_, types, expected) => {
    const { worker, results, send } = await setupWith(types)
    const failure = () => ({ type: 'NotMade', data: { reason: 'large' } }) as const
    await worker.handle('Requested', () => made, { failure }).start()
    await send()
    expect(brief(results)).toEqual(expected)
  })

  it('fails again in the same way when the request is delivered again', async () => {
    const store = memoryStore()
    const { worker, told, results, send } = await setupWith(['Made'], { dedupe: { store } })
    await worker.handle('Requested', () => made).start()
    const { id } = await send()
    await send({ id })
    expect(brief(results)).toEqual([GENERAL, GENERAL])
    expect(told.parked.map(({ replayed }) => replayed)).toEqual([false, true])
  })

  it('FM-B13 parks the request, and says nothing, when not even its failure is taken', async () => {
    const { worker, told, send, refused, broker, clock } = await setupWith(['Made', 'Requested::Failed'])
    const handler = vi.fn(() => made)
    await worker.handle('Requested', handler).start()
    await send()
    await clock.advance(60_000)
    expect(refused).toEqual(['Made', 'Requested::Failed', 'Requested::Failed'])
    expect(handler).toHaveBeenCalledOnce()
    expect(told.parked).toMatchObject([{ results: [] }])
    expect(told.error).toHaveLength(1)
    expect([told.requeued, broker.parked.length]).toEqual([[], 1])
  })

  it('FM-B13 is told from what it takes later: also a message that cannot be written is refused for good', async () => {
    const { worker, told, results, broker, send } = await setup({}, (transport) =>
      withPublish(transport, async (message, to) => {
        if (message.type !== 'Made') return transport.publish(message, to)
        throw new GatewayError('ERR_INVALID_INPUT', 'The message cannot be written as an AMQP message.')
      }),
    )
    const handler = vi.fn(() => made)
    await worker.handle('Requested', handler).start()
    await send()
    expect(handler).toHaveBeenCalledOnce()
    expect(brief(results)).toEqual([GENERAL])
    expect(told.error).toMatchObject([{ code: 'ERR_INVALID_INPUT' }])
    expect(broker.parked).toHaveLength(1)
  })
})
