import { createGateway, memoryTransport, ok } from 'respond-async'
import { handle, operations } from 'respond-async/fetch'
import { createWorker } from 'respond-async/worker'
import { describe, expect, it } from 'vitest'

const principal = ({ headers }: { headers: Readonly<Record<string, unknown>> }) => headers['x-user'] as string
const ID = '[0-9A-HJKMNP-TV-Z]{26}'

async function serve() {
  const transport = memoryTransport()
  const gateway = createGateway({ transport, principal })
  const command = gateway.command({ publish: 'Ask', outcomes: { Done: ok() } })
  const worker = createWorker({ transport }).handle('Ask', ({ data }) =>
    (data as { isSlow?: boolean }).isSlow ? undefined : { type: 'Done', data },
  )
  await worker.start()
  const routes = { ask: handle(command), operations: operations(gateway) }
  await gateway.start()
  const origin = (path: string, init: RequestInit = {}) =>
    (path.startsWith('/operations') ? routes.operations : routes.ask)(new Request(`http://localhost${path}`, init))
  return { origin, close: () => gateway.close({ drainMs: 0 }).then(() => worker.close()) }
}

type Origin = Awaited<ReturnType<typeof serve>>['origin']

function post(origin: Origin, data: unknown, headers: Record<string, string> = {}) {
  const all = { 'content-type': 'application/json', prefer: 'respond-async', ...headers }
  return origin('/ask', { method: 'POST', headers: all, body: JSON.stringify(data) })
}

/** A shared cache as RFC 9111 section 3 allows it, which keeps whatever it may, and compares what Vary names. */
function cached(origin: Origin) {
  const stored: { key: string; vary: readonly string[]; asked: Headers; answer: Response }[] = []
  return async (path: string, init: RequestInit = {}): Promise<Response> => {
    const asked = new Headers(init.headers)
    const key = `${init.method ?? 'GET'} ${path}`
    const hit = stored.find(
      (one) => one.key === key && one.vary.every((name) => one.asked.get(name) === asked.get(name)),
    )
    if (hit !== undefined) return hit.answer.clone()
    const answer = await origin(path, init)
    const control = answer.headers.get('cache-control') ?? ''
    const vary = (answer.headers.get('vary') ?? '').split(/\s*,\s*/).filter((name) => name !== '')
    const isFresh = !/no-store|no-cache|private/.test(control) && !vary.includes('*')
    if (isFresh && (key.startsWith('GET') || /max-age|s-maxage|public/.test(control)))
      stored.push({ key, vary, asked, answer: answer.clone() })
    return answer
  }
}

describe('what others see of an operation', () => {
  it('FM-E8 through a shared cache nobody gets the 202, the operation or the result of somebody else', async () => {
    const { origin, close } = await serve()
    const cache = cached(origin)
    const data = { isSlow: true }
    const [ada, eve] = await Promise.all(['ada', 'eve'].map((user) => post(cache, data, { 'x-user': user })))
    const location = ada?.headers.get('location') ?? ''
    expect(eve?.headers.get('location')).not.toBe(location)
    for (const path of [location, `${location}?follow=false`, `${location}/result`]) {
      const own = await cache(path, { headers: { 'x-user': 'ada' } })
      expect(own.status).toBeLessThan(300)
      expect((await cache(path, { headers: { 'x-user': 'eve' } })).status).toBe(404)
    }
    const done = (await post(cache, { n: 1 }, { 'x-user': 'ada' })).headers.get('location') ?? ''
    await expect.poll(async () => (await cache(`${done}/result`, { headers: { 'x-user': 'ada' } })).status).toBe(200)
    expect((await cache(`${done}/result`, { headers: { 'x-user': 'eve' } })).status).toBe(404)
    await close()
  })

  it('FM-H3 its URLs have its id and nothing else, and are no referrers', async () => {
    const { origin, close } = await serve()
    const accepted = await post(origin, { isSlow: true }, { authorization: 'Bearer hunter2', 'x-user': 'ada' })
    const location = accepted.headers.get('location')
    expect(location).toMatch(new RegExp(`^/operations/${ID}$`))
    expect(JSON.stringify([[...accepted.headers], await accepted.text()])).not.toMatch(/hunter2|ada/)
    for (const path of [`${location}`, `${location}/result`, `${location}/events`, '/operations/unknown']) {
      const answer = await origin(path, { headers: { 'x-user': 'ada' } })
      expect(answer.headers.get('referrer-policy')).toBe('no-referrer')
      await answer.body?.cancel()
    }
    await close()
  })

  it('FM-H6 its id is made by the gateway, whatever id the client sends', async () => {
    const { origin, close } = await serve()
    const first = await post(origin, { isSlow: true }, { 'x-user': 'ada' })
    const id = (first.headers.get('location') ?? '').split('/').at(-1) ?? ''
    const names = ['x-correlation-id', 'correlation-id', 'x-request-id', 'request-id', 'ce-id', 'ce-correlationid']
    for (const name of names) {
      const answer = await post(origin, { isSlow: true, id, correlationId: id }, { [name]: id, 'x-user': 'eve' })
      expect(answer.headers.get('location')).toMatch(new RegExp(`^/operations/${ID}$`))
      expect(answer.headers.get('location')).not.toContain(id)
    }
    await close()
  })
})
