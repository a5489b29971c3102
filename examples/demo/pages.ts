import type { Demo } from './demo.js'

/** An answer of the demo's own pages, which every framework writes in its own way. */
export interface Page {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

// The projection is fed by the same events as the gateway and is hardly ever behind; never for as long as this.
const LAG_MS = 1000

/** 200 while requests are taken, 503 before and while shutting down. */
export function showHealth({ gateway }: Demo): Page {
  const { isReady, durability } = gateway
  return json(isReady ? 200 : 503, { status: isReady ? 'ready' : 'not ready', durability })
}

/** The user with the id of its operation: whoever has the 201 can read the user. */
export async function showUser({ gateway, users }: Demo, id: string): Promise<Page> {
  const user = users.get(id) ?? (await whenCreated())
  return user === undefined ? showNothing('There is no user with this id.') : json(200, user)

  async function whenCreated() {
    const operation = await gateway.operations.get(id)
    return operation?.state === 'succeeded' ? users.whenThere(id, LAG_MS) : undefined
  }
}

/** 404, also for a user who is still being created: so nothing may keep this answer. */
export function showNothing(detail = 'There is no such page.'): Page {
  return showProblem(404, 'Not found', detail)
}

/** A failure of the demo's own pages, in the form that the gateway's failures have. */
export function showProblem(status: number, title: string, detail?: string): Page {
  const type = `urn:respond-async:problem:${title.toLowerCase().replaceAll(' ', '-')}`
  return json(status, { type, title, status, detail }, 'application/problem+json')
}

function json(status: number, body: unknown, contentType = 'application/json'): Page {
  return { status, headers: { 'content-type': contentType, 'cache-control': 'no-store' }, body: JSON.stringify(body) }
}
