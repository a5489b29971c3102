import { type GatewayError, isGatewayError } from '../core/errors.js'
import type { EventMessage } from '../core/event.js'
import type { Delivery, Reader, ReplayStart } from '../core/transport.js'
import { createGate, notRebuildable } from './copy.js'
import { LogCheck } from './log-check.js'
import type { ReadModelSettings } from './settings.js'

/** What is made of a replay. */
export interface Replayed {
  /** For whom a transport may keep events. */
  readonly name: string | undefined
  /** Behind which it can go on, the best one first: one that is asked for means that those before were refused. */
  positions(): AsyncIterable<string>
  /** Hears of a reader before it reads. Throws when it wants none any more. */
  use(reader: Reader): void
  /** Forgets what there is and begins anew, with what is loaded, and perhaps the log from its beginning. */
  begin(reader: Reader, from: 'beginning' | 'now'): Promise<void>
  take(message: EventMessage, delivery: Delivery, check: LogCheck): Promise<'ack'>
  /** What was read is no state to keep: other events may have replaced some of it. */
  discard(): Promise<void>
  /** Reports an error that has no caller to be thrown to. */
  report(error: GatewayError): void
}

interface Opened {
  readonly reader: Reader
  readonly check: LogCheck
  readonly gate: ReturnType<typeof createGate>
}

/**
 * Reads on behind what is there, else from the beginning, else from now on; resolves when it has caught up.
 * @throws GatewayError ERR_NOT_REBUILDABLE where each of that would leave a gap.
 */
export async function replay(settings: ReadModelSettings, copy: Replayed): Promise<Reader> {
  const refusals: GatewayError[] = []
  const readFrom = async (from: ReplayStart): Promise<Reader | undefined> => {
    const opened = await open(from, settings, copy)
    const outcome = isGatewayError(opened) ? opened : await catchUp(opened, from, copy)
    if (!isGatewayError(outcome)) return outcome
    refusals.push(outcome)
    return undefined
  }
  for await (const after of copy.positions()) {
    const reader = await readFrom({ after })
    if (reader !== undefined) return reader
  }
  // The log no longer reaches back to what there was, or is another one: what is between the two is lost to it.
  const canBegin = refusals.length === 0 || settings.load !== undefined
  const whole = canBegin ? await readFrom('beginning') : undefined
  if (whole !== undefined) return whole
  if (settings.load === undefined) throw notRebuildable(settings.projection.name, refusals[0])
  const fresh = await readFrom('now')
  if (fresh === undefined) throw refusals.at(-1)
  return fresh
}

/** A reader that brings nothing yet; or the refusal of a transport that would have gaps. */
async function open(from: ReplayStart, settings: ReadModelSettings, copy: Replayed): Promise<Opened | GatewayError> {
  const { transport, projection } = settings
  const { name } = copy
  const gate = createGate()
  const check = new LogCheck(settings, (error) => copy.report(error))
  const take = async (message: EventMessage, delivery: Delivery) => {
    await gate.passed
    return copy.take(message, delivery, check)
  }
  const reading = { kind: 'replay', from, ...(name !== undefined && { name }) } as const
  try {
    const reader = await transport.subscribe({ channel: 'results', types: projection.types, reading }, take)
    return { reader, check, gate }
  } catch (error) {
    if (isGatewayError(error) && error.code === 'ERR_CONFIG') return error
    throw error
  }
}

/** The reader that has caught up; or the refusal of a transport to which only reading has shown that there is a gap. */
async function catchUp(
  { reader, check, gate }: Opened,
  from: ReplayStart,
  copy: Replayed,
): Promise<Reader | GatewayError> {
  try {
    copy.use(reader)
    check.begin(reader.log)
    // What is loaded is newer than the place of the reader: whatever happens meanwhile is in one of the two, or both.
    if (typeof from === 'string') await copy.begin(reader, from)
    gate.open()
    await check.until(reader.caughtUp)
    return reader
  } catch (error) {
    gate.fail(error)
    await reader.close()
    if (check.isRefused) await copy.discard()
    // Behind a position may be another log than that in which it was taken.
    else if (typeof from !== 'string' && isGatewayError(error) && error.code === 'ERR_CONFIG') return error
    throw error
  }
}
