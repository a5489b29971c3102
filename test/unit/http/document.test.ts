import { describe, expect, it } from 'vitest'
import { toMessage } from '../../../src/core/event.js'
import type { Operation } from '../../../src/core/operation.js'
import { entityTag, redirectNote, statusDocument } from '../../../src/http/document.js'
import { httpSettingsOf } from '../../../src/http/settings.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { openService } from './support.js'

const clock = createFakeClock()
const running: Operation = {
  ...{ id: 'op', command: 'Make', state: 'running', version: 3, published: true, retentionMs: 1000 },
  ...{ createdAt: Date.UTC(2026, 0, 1), updatedAt: Date.UTC(2026, 0, 2), expiresAt: Date.UTC(2026, 0, 3) },
}
const links = { self: '/operations/op', events: '/operations/op/events', result: '/operations/op/result' }
const result = toMessage({ type: 'Made', source: 'worker', body: Buffer.from('{"id":"a","n":1.0}') }, clock)

async function documentOf(more: Partial<Operation>): Promise<string> {
  const { gateway } = await openService()
  return statusDocument(gateway, { ...running, ...more })
}

describe('statusDocument', () => {
  it('C02 D24 tells how a running operation stands', async () => {
    expect(JSON.parse(await documentOf({}))).toEqual({
      ...{ id: 'op', status: 'running', links },
      ...{
        createdAt: '2026-01-01T00:00:00.000Z',
        updatedAt: '2026-01-02T00:00:00.000Z',
        expiresAt: '2026-01-03T00:00:00.000Z',
      },
    })
  })

  it('shows the latest progress, where it is JSON', async () => {
    const event = toMessage({ type: 'Make::Progress', source: 'worker', data: { percent: 50 } }, clock)
    expect(JSON.parse(await documentOf({ progress: { sequence: 1, event } }))).toMatchObject({
      progress: { percent: 50 },
    })
    const bytes = { ...event, contentType: 'image/png' }
    expect(JSON.parse(await documentOf({ progress: { sequence: 1, event: bytes } }))).not.toHaveProperty('progress')
  })

  it('D05 shows the body of a success, to the digit', async () => {
    expect(await documentOf({ state: 'succeeded', result })).toContain('"result":{"id":"a","n":1.0}}')
  })

  it('shows no body where the success has none, or none that is JSON', async () => {
    expect(
      JSON.parse(await documentOf({ state: 'succeeded', result: { ...result, type: 'Deleted' } })),
    ).not.toHaveProperty('result')
    const png = { ...result, type: 'Found', contentType: 'image/png' }
    expect(JSON.parse(await documentOf({ state: 'succeeded', result: png }))).not.toHaveProperty('result')
  })

  it('D07 D08 shows the problem of a failure', async () => {
    const refused = { ...result, type: 'Make::ThingRefused' }
    expect(JSON.parse(await documentOf({ state: 'failed', result: refused }))).toMatchObject({
      ...{ status: 'failed', error: { status: 409, code: 'Make::ThingRefused', data: { id: 'a' } } },
    })
    const error = { code: 'ERR_OPERATION_CANCELED', message: 'x' } as const
    const canceled = JSON.parse(await documentOf({ state: 'canceled', error, lateResult: result }))
    expect(canceled).toMatchObject({ status: 'canceled', error: { status: 409 }, lateResult: { type: 'Made' } })
    expect(canceled.lateResult.time).toBe(new Date(result.time).toISOString())
  })
})

describe('redirectNote', () => {
  it('D04 leads to the result', async () => {
    const { gateway } = await openService()
    expect(JSON.parse(redirectNote(httpSettingsOf(gateway), { ...running, state: 'failed' }))).toEqual({
      id: 'op',
      status: 'failed',
      links,
    })
  })
})

describe('entityTag', () => {
  it('E02 is the version, quoted', () => {
    expect(entityTag(running)).toBe('"3"')
  })
})
