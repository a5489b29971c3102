import { describe, expect, it } from 'vitest'
import { SEQUENCE_HEADER } from '../../../src/core/operation.js'
import type { PublishOptions } from '../../../src/core/transport.js'
import { ada, brief, deferred, made, setup, withPublish } from './setup.js'

describe('results', () => {
  it('N03 publishes the result with everything that ties it to its request', async () => {
    const published: PublishOptions[] = []
    const { worker, told, results, send, clock } = await setup({ source: 'users' }, (transport) =>
      withPublish(transport, (message, options) => {
        published.push(options)
        return transport.publish(message, options)
      }),
    )
    await worker.handle('Requested', async ({ data }) => ({ type: 'Made', data: { id: data.name } })).start()
    const trace = { traceparent: '00-1-2-01', tracestate: 'a=b', tenant: 'acme' }
    const request = await send({ key: 'k', replyTo: 'own.1', headers: { cookie: 'secret' }, ...trace })
    const envelope = { source: 'users', correlationId: 'op-1', causationId: request.id, key: 'k', ...trace }
    expect(results).toMatchObject([{ type: 'Made', time: clock.now(), contentType: 'application/json', ...envelope }])
    expect(results[0]?.id).not.toBe(request.id)
    expect({ ...results[0]?.headers }).toEqual({})
    expect(brief(results)).toEqual([['Made', { id: 'Ada' }]])
    expect(published).toEqual([{ channel: 'results', replyTo: 'own.1' }])
    expect(told.handled).toMatchObject([{ request: { id: request.id }, results: [{ type: 'Made' }], replayed: false }])
  })

  it('names the group as the source, and goes without what the request does not have', async () => {
    const { worker, results, send } = await setup()
    await worker.handle('Requested', () => made).start()
    await send({ correlationId: undefined })
    expect(results).toMatchObject([{ source: 'workers', correlationId: undefined, key: undefined }])
  })

  it('publishes several results in their order', async () => {
    const { worker, results, send } = await setup()
    await worker.handle('Requested', () => [made, { type: 'NotMade', data: { reason: 'twice' } }]).start()
    await send()
    expect(brief(results)).toEqual([
      ['Made', { id: '1' }],
      ['NotMade', { reason: 'twice' }],
    ])
  })

  it.each([
    ['nothing', () => undefined],
    ['no events', () => []],
  ])('settles a request whose handler returns %s', async (_, handler) => {
    const { worker, told, broker, results, send } = await setup()
    await worker.handle('Requested', handler).start()
    await send()
    expect(told.handled).toMatchObject([{ results: [] }])
    expect([results, broker.parked]).toEqual([[], []])
  })

  it('publishes a body that is encoded already as it is, with headers and key of its own', async () => {
    const { worker, results, send } = await setup()
    const body = Buffer.from('{ not json')
    const own = { key: 'other', headers: { a: 'b' } }
    await worker.handle('Requested', () => ({ type: 'Made', body, contentType: 'text/x', ...own })).start()
    await send({ key: 'k' })
    expect(results).toMatchObject([{ type: 'Made', contentType: 'text/x', ...own }])
    expect(Buffer.from(results[0]?.body ?? []).toString()).toBe('{ not json')
  })

  it('acknowledges only after the results are published', async () => {
    const confirmed = deferred<void>()
    const { worker, told, send, clock } = await setup({}, (transport) =>
      withPublish(transport, () => confirmed.promise),
    )
    await worker.handle('Requested', () => made).start()
    await send()
    expect(told.handled).toEqual([])
    confirmed.resolve()
    await clock.flush()
    expect(told.handled).toHaveLength(1)
  })

  it('hands the handler the request, and bytes where the data are not JSON', async () => {
    const { worker, send } = await setup()
    const seen: unknown[] = []
    await worker
      .handle('Requested', ({ signal, progress, ...request }) => {
        seen.push({ ...request, headers: { ...request.headers } }, signal.aborted, typeof progress)
        return undefined
      })
      .start()
    const { id } = await send({ key: 'k', headers: { a: 'b' } })
    const request = { data: ada, id, correlationId: 'op-1', key: 'k', headers: { a: 'b' }, attempt: 1 }
    expect(seen).toEqual([request, false, 'function'])
    await send({ body: Buffer.from('x'), contentType: 'text/plain' })
    expect(seen[3]).toMatchObject({ data: Buffer.from('x') })
  })

  it('works on as many requests at once as its concurrency says', async () => {
    const { worker, send, clock } = await setup({ concurrency: 3 })
    const gate = deferred<void>()
    let running = 0
    await worker
      .handle('Requested', async () => {
        running += 1
        await gate.promise
      })
      .start()
    for (let count = 0; count < 5; count += 1) await send()
    expect(running).toBe(3)
    gate.resolve()
    await clock.flush()
    expect(running).toBe(5)
  })
})

describe('progress', () => {
  it('FM-A12 publishes progress at once, with growing numbers, also across attempts and deliveries', async () => {
    const { worker, results, send, clock } = await setup({ retries: { attempts: 2, backoffMs: 10 } })
    const gate = deferred<void>()
    await worker
      .handle('Requested', async ({ attempt, progress }) => {
        progress(attempt)
        progress(attempt)
        if (attempt === 1) throw new Error('once')
        await gate.promise
      })
      .start()
    const { id } = await send({ key: 'k' })
    await clock.advance(10)
    const sequences = results.map(({ headers }) => Number(headers[SEQUENCE_HEADER]))
    expect(brief(results)).toEqual([1, 1, 2, 2].map((attempt) => ['Requested::Progress', attempt]))
    expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b))
    expect(results[0]).toMatchObject({ correlationId: 'op-1', causationId: id, key: 'k' })
    const closing = worker.close({ drainMs: 0 })
    await clock.advance(1000)
    await closing
    gate.resolve()
  })

  it('does not make the result wait, nor the handler fail, when progress cannot be published', async () => {
    const { worker, told, send, results } = await setup({}, (transport) =>
      withPublish(transport, (message, options) => {
        if (message.type === 'Made') return transport.publish(message, options)
        return parseInt(message.headers[SEQUENCE_HEADER] ?? '', 10) % 2 ? new Promise(() => {}) : Promise.reject('down')
      }),
    )
    await worker
      .handle('Requested', ({ progress }) => {
        progress(1)
        progress(2)
        return made
      })
      .start()
    await send()
    expect(brief(results)).toEqual([['Made', { id: '1' }]])
    expect(told.error).toMatchObject([{ cause: 'down' }])
  })

  it('drops the progress of an attempt that has been given up', async () => {
    const { worker, results, send, clock } = await setup({ timeoutMs: 50, retries: { attempts: 1 } })
    let late: (() => void) | undefined
    await worker
      .handle('Requested', ({ progress }) => {
        late = () => progress(99)
        return new Promise<undefined>(() => {})
      })
      .start()
    await send()
    await clock.advance(50)
    late?.()
    await clock.flush()
    expect(results.map(({ type }) => type)).toEqual(['Requested::Failed'])
  })
})
