import { type ErrorCode, GatewayError } from '../core/errors.js'
import type { Store } from '../core/store.js'
import type { Transport } from '../core/transport.js'

/**
 * What becomes of a call. `fail-before`: it is not made, and rejects. `fail-after`: it is made, and rejects all the
 * same, as when an answer is lost. `hang`: it is not made, and never settles. `hang-after`: made, but never settles.
 */
export type Fault = 'ok' | 'fail-before' | 'fail-after' | 'hang' | 'hang-after'

/**
 * Decides what becomes of each call, by its name (`publish`, `reader.close`, `records.get`; `deliver` is the call of a
 * handler) and arguments. A promise holds the call back until it resolves to a fault, or to anything else for `ok`.
 */
export type FaultPlan = (call: string, args: readonly unknown[]) => Fault | Promise<unknown>

/** How the errors of a seam say that something certainly has not happened, and that it may have. */
interface Codes {
  readonly 'fail-before': ErrorCode
  readonly 'fail-after': ErrorCode
}

const TRANSPORT: Codes = { 'fail-before': 'ERR_TRANSPORT_UNAVAILABLE', 'fail-after': 'ERR_PUBLISH_UNCONFIRMED' }
const STORE: Codes = { 'fail-before': 'ERR_STORE_UNAVAILABLE', 'fail-after': 'ERR_STORE_UNAVAILABLE' }

/** Wraps a transport so that its calls, and those of its handlers, go wrong as planned. */
export function faultyTransport<T extends Transport>(transport: T, plan: FaultPlan): T {
  const subscribe: Transport['subscribe'] = async (subscription, onMessage) => {
    const reader = await transport.subscribe(subscription, (message, delivery) => {
      const make = (): ReturnType<typeof onMessage> => onMessage(message, delivery)
      return decide(plan, { name: 'deliver', args: [message, delivery], codes: TRANSPORT, make })
    })
    return wrap(reader, plan, { codes: TRANSPORT, prefix: 'reader.' })
  }
  return wrap(transport, plan, { codes: TRANSPORT, replace: { subscribe } })
}

/** Wraps a store so that its calls go wrong as planned. */
export function faultyStore<T extends Store>(store: T, plan: FaultPlan): T {
  const records = wrap(store.records, plan, { codes: STORE, prefix: 'records.' })
  return wrap(store, plan, { codes: STORE, replace: { records } })
}

const KNOWN: ReadonlySet<string | symbol> = new Set([
  ...['maxBodyBytesOf', 'writtenBytesOf', 'excessOf', 'checkRequestTypes', 'replyAddress'],
])

interface Wrapping {
  readonly codes: Codes
  readonly prefix?: string
  readonly replace?: Readonly<Record<string, unknown>>
}

function wrap<T extends object>(target: T, plan: FaultPlan, { codes, prefix = '', replace = {} }: Wrapping): T {
  return new Proxy({} as T, {
    has: (_, key) => key in target,
    get(_, key) {
      const value: unknown = replace[String(key)] ?? Reflect.get(target, key)
      if (typeof value !== 'function') return value
      // What it knows, and no call that could go wrong.
      if (KNOWN.has(key)) return value.bind(target)
      return (...args: unknown[]): unknown => {
        // With the target as `this`, as its private fields are not on the proxy.
        const make = (): unknown => Reflect.apply(value, target, args)
        return decide(plan, { name: prefix + String(key), args, codes, make })
      }
    },
  })
}

interface Call<T> {
  readonly name: string
  readonly args: readonly unknown[]
  readonly codes: Codes
  make(): T
}

function decide<T>(plan: FaultPlan, call: Call<T>): T | Promise<Awaited<T>> {
  const fault = plan(call.name, call.args)
  // Not through a promise: a wrapper without faults must not change the order of things.
  return fault === 'ok' ? call.make() : meet(fault, call)
}

async function meet<T>(decision: Fault | Promise<unknown>, { name, codes, make }: Call<T>): Promise<Awaited<T>> {
  const fault = await decision
  if (fault === 'fail-before') throw new GatewayError(codes[fault], `An injected fault before ${name}.`)
  if (fault === 'hang') return never()
  const value = await make()
  if (fault === 'fail-after') throw new GatewayError(codes[fault], `An injected fault after ${name}.`)
  return fault === 'hang-after' ? never() : value
}

function never(): Promise<never> {
  return new Promise(() => {})
}
