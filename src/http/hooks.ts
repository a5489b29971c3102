import { GatewayError, isGatewayError } from '../core/errors.js'
import type { CommandRequest, HookRequest, HttpSettings } from './settings.js'
import type { HttpRequest } from './types.js'

/** Runs a function of the application; what it throws is answered by its own 4xx status, or as ERR_HOOK. */
export async function callHook<T>(name: string, hook: () => T | Promise<T>): Promise<T> {
  try {
    return await hook()
  } catch (cause) {
    if (isGatewayError(cause)) throw cause
    throw new GatewayError('ERR_HOOK', `The request was refused by ${name}.`, { cause })
  }
}

/** Whose request it is; undefined, and at once, without the hook. */
export function principalOf(
  settings: HttpSettings,
  request: HttpRequest,
): string | undefined | Promise<string | undefined> {
  const { principal } = settings
  return principal && checkedPrincipal(callHook('principal', () => principal(toHookRequest(request))))
}

async function checkedPrincipal(found: Promise<unknown>): Promise<string | undefined> {
  const value = await found
  if (value === undefined || typeof value === 'string') return value
  throw new GatewayError('ERR_HOOK', `principal must give a text or undefined; it gave ${typeof value}.`)
}

/** The request with its query, which is parsed only when a hook asks. */
export function toHookRequest<More extends object = Record<never, never>>(
  request: HttpRequest,
  more?: More,
): HookRequest & More {
  const { method, url, params, headers, body, raw } = request
  const plain = { method, url, params, headers, body, raw, ...(more as More) }
  let query: CommandRequest['query'] | undefined
  return Object.defineProperty(plain, 'query', {
    enumerable: true,
    get: () => {
      query ??= toQuery(queryOf(request))
      return query
    },
  }) as unknown as HookRequest & More
}

/** The query of a request. */
export function queryOf({ url }: HttpRequest): URLSearchParams {
  const at = url.indexOf('?')
  return new URLSearchParams(at < 0 ? '' : url.slice(at + 1))
}

function toQuery(search: URLSearchParams): CommandRequest['query'] {
  const query: Record<string, string | string[]> = Object.create(null)
  for (const name of new Set(search.keys())) {
    const values = search.getAll(name)
    query[name] = values.length === 1 ? (values[0] ?? '') : values
  }
  return query
}
