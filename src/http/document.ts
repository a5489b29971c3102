import type { GatewayContext } from '../core/command.js'
import { isEnded, type Operation } from '../core/operation.js'
import { joinJson, jsonOf, renderEnd } from './answer.js'
import { type HttpSettings, httpSettingsOf, operationUrl } from './settings.js'
import type { HttpReply } from './types.js'

/** The status document of an operation as JSON text; the same shape in a 202, at the operation and in its stream. */
export function statusDocument(gateway: GatewayContext, operation: Operation): string {
  const settings = httpSettingsOf(gateway)
  const { progress, lateResult } = operation
  const members = {
    ...header(operation),
    createdAt: toTime(operation.createdAt),
    updatedAt: toTime(operation.updatedAt),
    expiresAt: toTime(operation.expiresAt),
    ...(lateResult && { lateResult: { type: lateResult.type, time: toTime(lateResult.time) } }),
    links: linksOf(settings, operation),
  }
  const shown = progress && ['progress', jsonOf(progress.event)]
  return joinJson(members, ...(shown ? [shown as [string, string]] : []), ...endMembers(gateway, operation))
}

/** The note that comes with a redirect to the result. */
export function redirectNote(settings: HttpSettings, operation: Operation): string {
  return JSON.stringify({ ...header(operation), links: linksOf(settings, operation) })
}

/** The entity tag of an operation: its version. */
export function entityTag(operation: Operation): string {
  return `"${operation.version}"`
}

function header({ id, state }: Operation) {
  return { id, status: state }
}

function linksOf(settings: HttpSettings, { id }: Operation) {
  const self = operationUrl(settings, id)
  return { self, events: `${self}/events`, result: `${self}/result` }
}

/** What the operation came to, as it is answered at its result: the body of a success, the problem of a failure. */
function endMembers(gateway: GatewayContext, operation: Operation): readonly (readonly [string, string | undefined])[] {
  if (!isEnded(operation)) return []
  const reply = renderEnd(gateway, operation)
  return [[reply.status < 400 ? 'result' : 'error', textOf(reply)]]
}

function textOf({ headers, body }: HttpReply): string | undefined {
  if (typeof body === 'string') return body
  return body && jsonOf({ body, contentType: headers['content-type'] ?? '' })
}

function toTime(ms: number): string {
  return new Date(ms).toISOString()
}
