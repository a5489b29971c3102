import type { Demo } from './demo.js'

/** An answer of the demo's own pages, which every framework writes in its own way. */
export interface Page {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** 200 while requests are taken, 503 before and while shutting down. */
export function showHealth({ gateway, users }: Demo): Page {
  const { durability } = gateway
  const isReady = gateway.isReady && users.status.isReady && users.status.isConnected
  return json(isReady ? 200 : 503, { status: isReady ? 'ready' : 'not ready', durability })
}

/** 404 for all that is not there. */
export function showNothing(): Page {
  return showProblem(404, 'Not found', 'There is no such page.')
}

/** A failure of the demo's own pages, in the form that the gateway's failures have. */
export function showProblem(status: number, title: string, detail?: string): Page {
  const type = `urn:respond-async:problem:${title.toLowerCase().replaceAll(' ', '-')}`
  return json(status, { type, title, status, detail }, 'application/problem+json')
}

function json(status: number, body: unknown, contentType = 'application/json'): Page {
  return { status, headers: { 'content-type': contentType, 'cache-control': 'no-store' }, body: JSON.stringify(body) }
}
