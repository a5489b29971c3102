import { writeHex } from './ids.js'

/** The W3C trace context of an event. */
export interface TraceContext {
  readonly traceparent: string
  readonly tracestate?: string | undefined
}

// W3C Trace Context, "traceparent Header": lower-case only, no field of zeros alone. Of a version beyond 00 the first
// 55 characters are read, and what follows them must begin with a hyphen.
const TRACEPARENT = /^(?!ff)([\da-f]{2})-(?!0{32})([\da-f]{32})-(?!0{16})[\da-f]{16}-([\da-f]{2})(-.*)?$/
const MEMBER = /^[a-z\d][a-z\d_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/
const MEMBERS = 32
/** Known flags: sampled and random; others are zero in what is sent. */
const FLAGS = 0x03

/** A traceparent of a new trace, random flag set, and where its two ids begin. */
const NEW = Buffer.from(`00-${'0'.repeat(32)}-${'0'.repeat(16)}-02`, 'latin1')
const TRACE_ID = 3
const PARENT_ID = 36

/**
 * The trace that a request event joins: the caller's, with a parent id of its own, or a new one where there is none that
 * is valid. What follows an invalid traceparent is dropped with it, an invalid tracestate is dropped alone.
 */
export function joinTrace(traceparent: string | undefined, tracestate: string | undefined): TraceContext {
  if (traceparent === undefined) return { traceparent: newTraceparent() }
  const [, version, traceId, flags = '', more] = TRACEPARENT.exec(traceparent) ?? []
  if (traceId === undefined || (version === '00' && more !== undefined)) {
    return { traceparent: newTraceparent() }
  }
  const kept = (Number.parseInt(flags, 16) & FLAGS).toString(16).padStart(2, '0')
  return {
    traceparent: `00-${traceId}-${newParentId()}-${kept}`,
    tracestate: isTracestate(tracestate) ? tracestate : undefined,
  }
}

function newTraceparent(): string {
  writeHex(NEW, TRACE_ID, 16)
  writeHex(NEW, PARENT_ID, 8)
  return NEW.toString('latin1')
}

function newParentId(): string {
  writeHex(NEW, PARENT_ID, 8)
  return NEW.toString('latin1', PARENT_ID, PARENT_ID + 16)
}

/** Several lines of the header have been joined by commas; members may be empty, and each key comes once. */
function isTracestate(text: string | undefined): boolean {
  if (text === undefined) return false
  const members = text
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '')
  const keys = new Set(members.map((member) => member.split('=', 1)[0]))
  return (
    members.length > 0 &&
    members.length <= MEMBERS &&
    keys.size === members.length &&
    members.every((one) => MEMBER.test(one))
  )
}
