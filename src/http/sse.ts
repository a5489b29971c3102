/** One message of an event stream, in the words of its wire format (WHATWG HTML section 9.2). */
export interface ServerSentEvent {
  /** Comes back as `Last-Event-ID` when the client connects again. */
  readonly id?: string | number
  readonly event?: string
  readonly data: string
  /** How many milliseconds the client waits before it connects again. */
  readonly retry?: number
}

/** A comment, which clients ignore and which keeps a quiet connection open. */
export const SERVER_SENT_KEEP_ALIVE = ':\n\n'

// A line break would begin a field of its own, and clients drop an id that holds NUL.
function oneLine(text: string): string {
  return text.replace(/[\r\n]/g, '').replaceAll('\0', '')
}

/** Writes one message so that no value can begin a field or a message of its own. */
export function formatServerSentEvent({ id, event, data, retry }: ServerSentEvent): string {
  let message = ''
  if (event !== undefined) message += `event: ${oneLine(event)}\n`
  if (id !== undefined) message += `id: ${oneLine(String(id))}\n`
  if (retry !== undefined && Number.isSafeInteger(retry) && retry >= 0) message += `retry: ${retry}\n`
  for (const line of data.split(/\r\n|\r|\n/)) message += `data: ${line}\n`
  return `${message}\n`
}
