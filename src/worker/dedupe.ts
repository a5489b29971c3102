import { copyHeaders, type EventMessage } from '../core/event.js'
import type { RecordSpace, RecordWrite } from '../core/store.js'

/** How a request ends: the events that answer it, and whether the broker puts it aside. */
export interface Answer {
  readonly results: readonly EventMessage[]
  readonly park: boolean
}

/** The answer that another delivery of the request has got. */
export async function findAnswer(records: RecordSpace, key: string): Promise<Answer | undefined> {
  const record = await records.get(key)
  if (record === undefined) return undefined
  const { results, park } = JSON.parse(Buffer.from(record.value).toString()) as Answer
  const restore = (event: EventMessage): EventMessage => {
    return { ...event, headers: copyHeaders(event.headers), body: Buffer.from(String(event.body), 'base64') }
  }
  return { results: results.map(restore), park }
}

/** Keeps the answer, and gives the one that stands: of several deliveries at once, the first decides for all. */
export async function keepAnswer(
  records: RecordSpace,
  answer: Answer,
  write: Omit<RecordWrite, 'value'>,
): Promise<Answer> {
  const results = answer.results.map((event) => ({ ...event, body: Buffer.from(event.body).toString('base64') }))
  const value = Buffer.from(JSON.stringify({ ...answer, results }))
  const version = await records.put({ ...write, value, ifVersion: 0 })
  return version === undefined ? ((await findAnswer(records, write.key)) ?? answer) : answer
}
