import { createWorker, type WorkerOptions } from 'respond-async/worker'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { GatewayError } from '../../../src/core/errors.js'
import type { TransportListener } from '../../../src/core/transport.js'
import { memoryStore } from '../../../src/stores/memory/index.js'
import { brief, deferred, made, setup, withPublish } from './setup.js'

afterEach(() => vi.restoreAllMocks())

describe('drain', () => {
  it('takes no new request, and waits for the running ones', async () => {
    const { worker, told, results, send, clock } = await setup()
    const gate = deferred<void>()
    const runs = vi.fn(async () => {
      await gate.promise
      return made
    })
    await worker.handle('Requested', runs).start()
    await send()
    const closed = vi.fn()
    const closing = worker.close().then(closed)
    await send()
    await clock.advance(9999)
    expect(closed).not.toHaveBeenCalled()
    gate.resolve()
    await clock.flush()
    await closing
    expect(runs).toHaveBeenCalledOnce()
    expect(brief(results)).toEqual([['Made', { id: '1' }]])
    expect([told.handled.length, told.requeued.length, told.error.length]).toEqual([1, 0, 0])
    expect(clock.pending).toBe(0)
  })

  it('aborts what runs longer than drainMs, and gives it to another worker', async () => {
    const { worker, told, results, send, make, clock } = await setup({ drainMs: 5000 })
    const signals: AbortSignal[] = []
    const late = deferred<typeof made>()
    await worker
      .handle('Requested', ({ signal }) => {
        signals.push(signal)
        return signals.length === 1 ? undefined : late.promise
      })
      .start()
    await send()
    const request = await send()
    const closing = worker.close()
    await clock.advance(4999)
    expect(signals[1]?.aborted).toBe(false)
    await clock.advance(1)
    await closing
    expect(signals[1]?.reason).toMatchObject({ code: 'ERR_CLOSED' })
    expect(signals[0]?.aborted).toBe(false)
    expect(told.requeued).toMatchObject([{ request: { id: request.id }, error: { code: 'ERR_CLOSED' } }])
    late.resolve(made)
    const other = make()
    const attempts: number[] = []
    await other.worker
      .handle('Requested', ({ attempt }) => {
        attempts.push(attempt)
        return { type: 'Made', data: { id: 'other' } }
      })
      .start()
    await clock.advance(1000)
    expect(brief(results)).toEqual([['Made', { id: 'other' }]])
    expect(attempts).toEqual([2])
    expect([told.error, told.retry]).toEqual([[], []])
  })

  it('gives back at once what waits for its next attempt', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(1)
    const { worker, told, results, broker, send, clock } = await setup({ retries: { backoffMs: 30_000 } })
    await worker.handle('Requested', () => Promise.reject(new Error('no'))).start()
    await send()
    expect(told.retry).toHaveLength(1)
    await worker.close()
    expect(told.requeued).toMatchObject([{ error: { code: 'ERR_CLOSED' } }])
    expect([results, broker.parked, told.error]).toEqual([[], [], []])
    await clock.flush()
    // The broker's, for the redelivery.
    expect(clock.pending).toBe(1)
  })

  it('gives back an attempt that fails while it closes, instead of trying again', async () => {
    const { worker, told, send, clock } = await setup()
    const gate = deferred<void>()
    const handler = vi.fn(() => gate.promise.then(() => Promise.reject(new Error('no'))))
    await worker.handle('Requested', handler).start()
    await send()
    const closing = worker.close()
    gate.resolve()
    await clock.flush()
    await closing
    expect(handler).toHaveBeenCalledOnce()
    expect(told.requeued).toHaveLength(1)
  })

  it('gives back results whose publishing hangs', async () => {
    const { worker, told, send, clock } = await setup({}, (transport) =>
      withPublish(transport, () => new Promise(() => {})),
    )
    await worker.handle('Requested', () => [made, made]).start()
    await send()
    const closing = worker.close({ drainMs: 10 })
    await clock.advance(10)
    await closing
    expect(told.requeued).toMatchObject([{ error: { code: 'ERR_CLOSED' } }])
  })
})

describe('start and close', () => {
  it('starts and closes transport and store once, however often it is asked', async () => {
    const { broker, clock, make } = await setup()
    const calls: string[] = []
    const note = <T>(name: string, result: T) => {
      calls.push(name)
      return result
    }
    const transport = {
      ...withPublish(broker, (message, options) => broker.publish(message, options)),
      start: () => note('transport.start', broker.start()),
      close: () => note('transport.close', broker.close()),
    }
    const { records } = memoryStore()
    const store = {
      records,
      start: async () => note('store.start', undefined),
      close: async () => note('store.close', undefined),
    }
    const { worker } = make({ transport, dedupe: { store } })
    worker.handle('Requested', () => made)
    await Promise.all([worker.start(), worker.start()])
    await Promise.all([worker.close(), worker.close(), worker[Symbol.asyncDispose]()])
    expect(calls).toEqual(['store.start', 'transport.start', 'transport.close', 'store.close'])
    expect(clock.pending).toBe(0)
  })

  it('closes without a start, and leaves alone what others have opened', async () => {
    const { worker, broker } = await setup()
    await worker.close()
    await expect(broker.check()).resolves.toBeUndefined()
    await expect(worker.handle('Requested', () => made).start()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })

  it('can start again after a start that failed, and closes what that had opened', async () => {
    const { broker, make, send, results } = await setup()
    let broken = true
    const close = vi.fn(() => broker.close())
    const transport = {
      ...withPublish(broker, (message, options) => broker.publish(message, options)),
      close,
      subscribe: (...args: Parameters<typeof broker.subscribe>) =>
        broken ? Promise.reject(new Error('no queue')) : broker.subscribe(...args),
    }
    const { worker } = make({ transport })
    worker.handle('Requested', () => made)
    await expect(worker.start()).rejects.toThrow('no queue')
    expect(close).toHaveBeenCalledOnce()
    broken = false
    await worker.start()
    await send()
    expect(brief(results)).toEqual([['Made', { id: '1' }]])
  })

  it('ends a start that is overtaken by the close', async () => {
    const { broker, make, clock } = await setup()
    const gate = deferred<void>()
    const close = vi.fn(() => broker.close())
    const transport = {
      ...withPublish(broker, (message, options) => broker.publish(message, options)),
      start: () => gate.promise.then(() => broker.start()),
      close,
    }
    const { worker } = make({ transport })
    const starting = worker.handle('Requested', () => made).start()
    await worker.close()
    gate.resolve()
    await starting
    await clock.flush()
    expect(close).toHaveBeenCalledOnce()
  })

  it('reports what cannot be closed, and closes the rest', async () => {
    const { broker, make } = await setup()
    const close = vi.fn(() => Promise.reject(new Error('stuck')))
    const transport = { ...withPublish(broker, (message, options) => broker.publish(message, options)), close }
    const store = { records: memoryStore().records, start: async () => {}, close: vi.fn(async () => {}) }
    const { worker, told } = make({ transport, dedupe: { store } })
    await worker.handle('Requested', () => made).start()
    await worker.close()
    expect(store.close).toHaveBeenCalledOnce()
    expect(told.error).toMatchObject([{ cause: { message: 'stuck' } }])
  })
})

describe('errors', () => {
  const fails = () => Promise.reject(new Error('db1 is down'))

  it('announces a lost connection, and what its transport reports', async () => {
    const { broker, make } = await setup()
    let listener: TransportListener | undefined
    const transport = {
      ...withPublish(broker, (message, options) => broker.publish(message, options)),
      start: (given?: TransportListener) => {
        listener = given
        return broker.start()
      },
    }
    const { worker, told } = make({ transport })
    await worker.handle('Requested', () => made).start()
    listener?.down(new Error('reset'))
    listener?.up()
    listener?.error?.(new GatewayError('ERR_PUBLISH_REJECTED', 'left behind'))
    expect(told.error).toMatchObject([
      { code: 'ERR_TRANSPORT_UNAVAILABLE', cause: { message: 'reset' } },
      { code: 'ERR_PUBLISH_REJECTED', message: 'left behind' },
    ])
  })

  it('warns once for each code when nobody listens', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockReturnValue()
    const { broker: transport, clock, send } = await setup()
    const worker = createWorker({ transport, clock, retries: { attempts: 1 } })
    await worker.handle('Requested', fails).start()
    await send()
    await send()
    await send({ body: Buffer.from('{'), contentType: 'application/json' })
    expect(warn.mock.calls.map(([, options]) => options)).toMatchObject([
      {
        code: 'ERR_WORKER_FAILED',
        detail: 'Error: db1 is down. Listen to "error" of the worker to hear of all of them.',
      },
      { code: 'ERR_MALFORMED_BODY' },
    ])
  })

  it('is not disturbed by listeners that throw', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockReturnValue()
    const { broker: transport, clock, send, results } = await setup()
    const onError = vi.fn(() => {
      throw new Error('of the listener')
    })
    const worker = createWorker({ transport, clock, retries: { attempts: 1 }, onError })
    await worker.handle('Requested', fails).start()
    await send()
    expect(onError).toHaveBeenCalledOnce()
    expect(warn).toHaveBeenCalledWith(expect.stringContaining('of the listener'), 'RespondAsyncWarning')
    expect(results).toMatchObject([{ type: 'Requested::Failed' }])
  })
})

describe('configuration', () => {
  it.each<[Record<string, unknown>, RegExp]>([
    [{ transport: undefined }, /transport is undefined; allowed is a transport/],
    [{ group: 'a/b' }, /group is "a\/b"; allowed is/],
    [{ concurrency: 0 }, /concurrency is 0; allowed is a whole number from 1/],
    [{ retries: { attempts: 0 } }, /attempts is 0/],
    [{ retries: { backoffMs: -1 } }, /backoffMs is -1/],
    [{ retries: null }, /the options of retries is null; allowed is an object/],
    [{ retries: { attempt: 3 } }, /retries has no option "attempt"; there are: attempts, backoffMs/],
    [{ retries: { concurrency: 1 } }, /retries has no option "concurrency"/],
    [{ timeoutMs: '5' }, /timeoutMs is "5"/],
    [{ drainMs: Number.NaN }, /drainMs is NaN/],
    [{ dedupe: {} }, /dedupe is .*allowed is \{ store, ttlMs \}/],
    [{ dedupe: { store: memoryStore(), ttlMs: 0 } }, /ttlMs is 0/],
    [{ dedupe: { store: memoryStore(), ttl: 5 } }, /dedupe has no option "ttl"; there are: store, ttlMs/],
    [{ onError: 5 }, /onError is 5; allowed is a function/],
    [{ events: null }, /events is null; allowed is one Standard Schema/],
    [{ events: { Requested: 5 } }, /events: Requested is 5; allowed is a Standard Schema/],
    [{ retry: 3 }, /The worker has no option "retry"; there are: .*retries/],
  ])('refuses %j at once', async (wrong, message) => {
    const { broker: transport } = await setup()
    expect(() => createWorker({ transport, ...wrong } as WorkerOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG', message: expect.stringMatching(message) }),
    )
  })

  it('refuses a second handler of a type, one that is no function, and one after the start', async () => {
    const { worker } = await setup()
    const refused = (message: RegExp) =>
      expect.objectContaining({ code: 'ERR_CONFIG', message: expect.stringMatching(message) })
    await expect(worker.start()).rejects.toThrow(/has no handlers/)
    worker.handle('Requested', () => made)
    expect(() => worker.handle('Requested', () => made)).toThrow(refused(/Requested has a handler already/))
    expect(() => worker.handle('Made', 'x' as never)).toThrow(refused(/handler of Made is "x"; allowed is a function/))
    await worker.start()
    expect(() => worker.handle('Made', () => undefined)).toThrow(refused(/has started without a handler of Made/))
  })

  it.each<[string, unknown[], RegExp]>([
    ['a type that is no text', [5, () => made], /the type to handle is 5/],
    ['an empty type', ['', () => made], /the type to handle is ""/],
    ['no handler', ['Requested'], /handler of Requested is undefined; allowed is a function/],
    ['a misspelt option', ['Requested', () => made, { failre: () => made }], /no option "failre"; there are: failure/],
    ['a failure that is no function', ['Requested', () => made, { failure: 5 }], /failure of Requested is 5/],
    ['options that are none', ['Requested', () => made, null], /options of handle\('Requested'\) is null/],
  ])('refuses to handle with %s', async (_, given, message) => {
    const { worker } = await setup()
    expect(() => worker.handle(...(given as Parameters<typeof worker.handle>))).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG', message: expect.stringMatching(message) }),
    )
    await expect(worker.start()).rejects.toThrow(/has no handlers/)
  })

  it('refuses to listen to what is never told, and with what is no function', async () => {
    const { worker } = await setup()
    const refused = (message: RegExp) =>
      expect.objectContaining({ code: 'ERR_CONFIG', message: expect.stringMatching(message) })
    expect(() => worker.on('fail' as never, () => {})).toThrow(refused(/is "fail"; allowed is one of .*parked/))
    expect(() => worker.on('error', 5 as never)).toThrow(refused(/the listener of error is 5; allowed is a function/))
  })

  it('parks a request of a type that it never asked for', async () => {
    const { broker, make, clock } = await setup()
    const settled: unknown[] = []
    const transport = {
      ...withPublish(broker, (message, options) => broker.publish(message, options)),
      subscribe: async (...[, onMessage]: Parameters<typeof broker.subscribe>) => {
        const headers = {}
        const message = {
          id: '1',
          type: 'Foreign',
          source: 's',
          time: 0,
          headers,
          contentType: 'x/y',
          body: Buffer.from(''),
        }
        settled.push(await onMessage(message, { attempt: 1 }))
        return { caughtUp: Promise.resolve(), close: async () => {} }
      },
    }
    const { worker } = make({ transport })
    await worker.handle('Requested', () => made).start()
    await clock.flush()
    expect(settled).toEqual(['park'])
  })
})
