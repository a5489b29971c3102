import type { GatewayContext } from '../core/command.js'
import { isEnded, type Operation } from '../core/operation.js'
import { headerOf } from './body.js'
import { statusDocument } from './document.js'
import { httpSettingsOf } from './settings.js'
import { formatServerSentEvent, SERVER_SENT_KEEP_ALIVE } from './sse.js'
import type { HttpReply, HttpRequest } from './types.js'

const KEEP_ALIVE_MS = 15_000
const RECONNECT_MS = 2000

/**
 * Answers with the changes of an operation as server-sent events: how it stands, then each change, the end last.
 * A client that comes back with the id of the end gets 204, which tells it to stay away (WHATWG HTML section 9.2.1).
 */
export function openStream(gateway: GatewayContext, request: HttpRequest, operation: Operation): HttpReply {
  const settings = httpSettingsOf(gateway)
  const seen = headerOf(request, 'last-event-id')
  const headers = { 'cache-control': 'no-store', 'x-accel-buffering': 'no' }
  if (isEnded(operation) && seen === String(operation.version)) return { status: 204, headers }
  settings.streams.assertRoom(operation.id)
  const typed = { ...headers, 'content-type': 'text/event-stream; charset=utf-8' }
  if (request.method === 'HEAD') return { status: 200, headers: typed }
  const end = () => void stream.return(undefined).catch((error: unknown) => gateway.report(error))
  const stream = changesOf(gateway, request, { operation, seen, end })
  return { status: 200, headers: typed, stream }
}

interface Watched {
  readonly operation: Operation
  readonly seen: string | undefined
  /** Ends the stream from outside: one that is no longer read never comes to its own end. */
  end(): void
}

async function* changesOf(
  gateway: GatewayContext,
  request: HttpRequest,
  { operation, seen, end }: Watched,
): AsyncGenerator<string> {
  const settings = httpSettingsOf(gateway)
  const { clock } = gateway.settings
  const until = clock.monotonic() + settings.streamMs
  const close = settings.streams.open(operation.id)
  const cancelEnd = clock.setTimer(end, settings.streamMs + KEEP_ALIVE_MS, true)
  try {
    yield `retry: ${RECONNECT_MS}\n\n`
    let latest = operation
    if (seen !== String(latest.version)) yield messageOf(gateway, latest)
    while (!isEnded(latest) && clock.monotonic() < until && !gateway.isClosing) {
      const waitMs = Math.max(1, Math.min(KEEP_ALIVE_MS, until - clock.monotonic()))
      const { principal, version: seenVersion } = latest
      const wish = { waitMs, seenVersion, onGone: request.onGone, principal }
      // A stream that cannot go on ends, and its client comes back; only the application hears why.
      const next = await gateway.operations.wait(latest.id, wish).catch((error) => void gateway.report(error))
      if (next === undefined) return
      yield next.version === latest.version ? SERVER_SENT_KEEP_ALIVE : messageOf(gateway, next)
      latest = next
    }
  } finally {
    cancelEnd()
    close()
  }
}

function messageOf(gateway: GatewayContext, operation: Operation): string {
  return formatServerSentEvent({ id: operation.version, event: 'status', data: statusDocument(gateway, operation) })
}
