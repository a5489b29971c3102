import { createWorker } from 'respond-async/worker'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { brief, setup } from './setup.js'

const events = {
  Requested: z.object({ name: z.string().trim().min(1) }),
  Made: z.object({ id: z.string() }),
}

async function setupSchemas() {
  const { broker: transport, clock, ...rest } = await setup()
  const worker = createWorker({ transport, clock, events, retries: { attempts: 1 }, onError: () => {} })
  return { ...rest, transport, clock, worker }
}

describe('schemas', () => {
  it('gives the handler what the schema makes of the data', async () => {
    const { worker, results, send } = await setupSchemas()
    await worker.handle('Requested', ({ data }) => ({ type: 'Made', data: { id: data.name } })).start()
    await send({ data: { name: ' Ada ' } })
    expect(brief(results)).toEqual([['Made', { id: 'Ada' }]])
  })

  it('refuses the handler of a type without a schema', async () => {
    const { worker } = await setupSchemas()
    expect(() => worker.handle('B' as never, () => undefined)).toThrow(
      expect.objectContaining({
        code: 'ERR_CONFIG',
        message: 'There is no schema for the event B; there are: Made, Requested.',
      }),
    )
  })

  it('fails a request that its schema refuses, and parks it', async () => {
    const { worker, transport, results, send } = await setupSchemas()
    await worker.handle('Requested', () => undefined).start()
    await send({ data: { name: ' ' } })
    expect(brief(results)).toMatchObject([['Requested::Failed', { reason: 'invalid' }]])
    expect(transport.parked).toHaveLength(1)
  })

  it('never publishes a result that its schema refuses, but lets encoded bodies through', async () => {
    const { worker, results, send } = await setupSchemas()
    const wrong = { type: 'Made', data: { id: 1 as unknown as string } } as const
    const encoded = { type: 'Made', body: Buffer.from('{"id":1}'), contentType: 'application/json' } as const
    const answers = [wrong, encoded]
    await worker.handle('Requested', () => answers.shift()).start()
    await send()
    await send()
    expect(brief(results)).toMatchObject([
      ['Requested::Failed', { reason: 'error' }],
      ['Made', { id: 1 }],
    ])
  })

  it('refuses a result of a type without a schema, but not the progress and failure that every type has', async () => {
    const { worker, results, send } = await setupSchemas()
    const misspelt = { type: 'Maed', data: {} } as never
    await worker
      .handle('Requested', async ({ progress }) => {
        await progress({ percent: 50 })
        return misspelt
      })
      .start()
    await send()
    expect(brief(results)).toMatchObject([
      ['Requested::Progress', { percent: 50 }],
      ['Requested::Failed', { reason: 'error' }],
    ])
  })
})
