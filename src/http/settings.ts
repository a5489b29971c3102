import type { Command, GatewayContext } from '../core/command.js'
import type { AnyDefinition } from '../core/definition.js'
import type { Extension } from '../core/gateway.js'
import type { Operation } from '../core/operation.js'
import { checkFunction, configError, type NumberRule, refuseUnknown, resolveNumbers } from '../core/options.js'
import { OpenStreams, ReadRate } from './limits.js'
import type { Preferences } from './prefer.js'
import type { HttpRequest } from './types.js'

/** A gateway of whichever events, as adapters take it. */
export type AnyGateway = GatewayContext & { close(): Promise<void> }

/** What a client wants to do with an operation. */
export type Verb = 'read' | 'cancel'

/** The request as hooks see it. */
export interface HookRequest extends HttpRequest {
  /** Repeated parameters are lists. */
  readonly query: Readonly<Record<string, string | readonly string[]>>
}

/** The request as the mapping to the event sees it. */
export interface CommandRequest extends HookRequest {
  readonly principal: string | undefined
  readonly preferences: Preferences
}

/** Options of the HTTP layer. */
export interface HttpOptions {
  /** Where operations are served: the path below which the adapter's `operations` is mounted. @default '/operations' */
  readonly operationsPath?: string
  /** Origin, and prefix, of absolute links; never taken from the request. @default path-absolute links */
  readonly publicUrl?: string
  /** What an ended operation answers: a redirect to its result, or always a document. @default 'redirect' */
  readonly statusStyle?: StatusStyle
  /** Comes before the name of every problem type. @default 'urn:respond-async:problem:' */
  readonly problemBase?: string
  /** The longest request body that `handle` reads, in bytes. @default 1048576 */
  readonly bodyLimit?: number
  /** How long one event stream lasts; clients then connect again. @default 300000 */
  readonly streamMs?: number
  /** How many event streams may be open at the same time. @default 1000 */
  readonly maxStreams?: number
  /** The same for one operation. @default 10 */
  readonly maxStreamsPerOperation?: number
  /** How often one operation may be read in one second; more gets 429. @default 20 */
  readonly maxReadsPerSecond?: number
  /** What clients are told to wait between two polls, in seconds. @default 1 */
  readonly retryAfterSeconds?: number
  /** Whose request it is; operations belong to this principal. An error with a `status` from 400 to 499 is answered so. */
  readonly principal?: (request: HookRequest) => string | undefined | Promise<string | undefined>
  /** Who may do what with an operation. @default its own principal */
  readonly authorize?: (operation: Operation, principal: string | undefined, verb: Verb) => boolean | Promise<boolean>
}

/** `redirect`: 202 while running, then 303 to the result. `document`: always 200 and a status document. */
export type StatusStyle = 'redirect' | 'document'

/** What a command says about its HTTP side. */
export interface HttpCommandOptions<Data> {
  /** Makes the data of the request event. @default the request body */
  readonly input?: (request: CommandRequest) => Data | Promise<Data>
  /** Headers of the request event. */
  readonly headers?: (request: CommandRequest) => Readonly<Record<string, string>>
  /**
   * Whether what the request would create is there already, from a read model for example: `If-None-Match: *` is then
   * answered 412, and nothing is published (RFC 9110 section 13.1.2). Asked only for requests with that header.
   */
  readonly exists?: (request: CommandRequest) => boolean | Promise<boolean>
  /** What a 202 points to: by default the operation; a resource whose id is the operation's may be named instead. */
  readonly accepted?: { readonly location?: (operation: Operation) => string }
  /** Media types of the answers; a request that accepts none of them gets 406. @default whatever the results are */
  readonly produces?: readonly string[]
  /** Methods that publish. GET and other safe methods must be named. @default ['POST', 'PUT', 'PATCH', 'DELETE'] */
  readonly methods?: readonly string[]
  /** What a request gets whose result is late: 202, or 504 as from an ordinary gateway. @default 'accepted' */
  readonly onTimeout?: 'accepted' | 'gateway-timeout'
  /** Whether requests must carry an `Idempotency-Key`. @default 'optional' */
  readonly idempotencyKey?: 'optional' | 'required'
  /** How long a `respond-async` request waits all the same, so that instant results come at once. @default 0 */
  readonly asyncGraceMs?: number
}

type Hooks = Pick<HttpOptions, 'principal' | 'authorize' | 'publicUrl'>

/** The options with their defaults, and what is known of the mounted routes. */
export interface HttpSettings extends Required<Omit<HttpOptions, keyof Hooks>>, Hooks {
  /** Operations are served, so that a 202 can name one. */
  mounted: boolean
  /** It has been reported that they are not. */
  warned: boolean
  /** Open event streams. */
  readonly streams: OpenStreams
  readonly reads: ReadRate
}

const NUMBERS = {
  bodyLimit: [1_048_576, 1, 1_073_741_824],
  streamMs: [300_000, 1, 86_400_000],
  maxStreams: [1000, 0, 1_000_000],
  maxStreamsPerOperation: [10, 0, 1_000_000],
  maxReadsPerSecond: [20, 1, 1_000_000],
  retryAfterSeconds: [1, 0, 3600],
} as const satisfies Record<string, NumberRule>

const COMMAND_NUMBERS = { asyncGraceMs: [0, 0, 25_000] } as const satisfies Record<string, NumberRule>

const TEXTS = ['operationsPath', 'publicUrl', 'statusStyle', 'problemBase', 'principal', 'authorize'] as const

const COMMAND_OPTIONS = [
  'input',
  'headers',
  'exists',
  'accepted',
  'produces',
  'methods',
  'onTimeout',
  'idempotencyKey',
  'asyncGraceMs',
]

/** The names of all options of the HTTP layer. */
export const HTTP_OPTIONS: readonly string[] = [...Object.keys(NUMBERS), ...TEXTS]

/**
 * Makes the extension with which the core carries the HTTP settings.
 * @throws GatewayError ERR_CONFIG that says what was given and what is allowed.
 */
export function createHttpExtension(options: HttpOptions): Extension {
  return { settings: resolveHttpOptions(options), commandOptions: COMMAND_OPTIONS, checkCommand }
}

/**
 * The HTTP settings of a gateway.
 * @throws GatewayError ERR_CONFIG when it is none.
 */
export function httpSettingsOf(gateway: GatewayContext): HttpSettings {
  if (gateway?.extension === undefined) throw configError('the gateway', gateway, 'what createGateway() returns')
  return gateway.extension as HttpSettings
}

/**
 * Checks what an adapter was given, when the route is made and not at its first request.
 * @throws GatewayError ERR_CONFIG when it is no command.
 */
export function assertCommand(command: Command): void {
  if (command?.plan === undefined) throw configError('the command', command, 'what gateway.command() returns')
}

/** The HTTP side of a command's definition. */
export function httpOptionsOf(definition: AnyDefinition): HttpCommandOptions<unknown> {
  return definition as HttpCommandOptions<unknown>
}

/** The URL of an operation, or of something below it. */
export function operationUrl(settings: HttpSettings, id: string, part = ''): string {
  return `${settings.publicUrl ?? ''}${settings.operationsPath}/${id}${part}`
}

function resolveHttpOptions(options: HttpOptions): HttpSettings {
  const { operationsPath = '/operations', publicUrl, statusStyle = 'redirect', problemBase } = options
  check(['operationsPath', operationsPath], /^(\/[\w.~-]+)+$/.test(operationsPath), "a path such as '/operations'")
  checkChoice('statusStyle', statusStyle, ['redirect', 'document'])
  check(
    ['publicUrl', publicUrl],
    publicUrl === undefined || isPublicUrl(publicUrl),
    'an http(s) URL without query and credentials',
  )
  check(['problemBase', problemBase], problemBase === undefined || typeof problemBase === 'string', 'a text')
  for (const name of ['principal', 'authorize'] as const) checkFunction(name, options[name])
  const numbers = resolveNumbers(NUMBERS, options as Readonly<Record<string, unknown>>)
  return {
    ...numbers,
    ...{ operationsPath, statusStyle, problemBase: problemBase ?? 'urn:respond-async:problem:' },
    // As URLs are written, so that headers can carry it: international names and paths are encoded.
    ...(publicUrl === undefined ? {} : { publicUrl: new URL(publicUrl).href.replace(/\/+$/, '') }),
    ...(options.principal && { principal: options.principal }),
    ...(options.authorize && { authorize: options.authorize }),
    mounted: false,
    warned: false,
    streams: new OpenStreams(numbers),
    reads: new ReadRate(numbers.maxReadsPerSecond),
  }
}

function isPublicUrl(text: string): boolean {
  if (!/^https?:\/\/[^?#\s]+$/.test(text) || !URL.canParse(text)) return false
  const { username, password } = new URL(text)
  return username === '' && password === ''
}

function checkCommand(definition: object, keepsOperations: boolean): void {
  const options = definition as HttpCommandOptions<unknown>
  const { methods, produces, onTimeout, idempotencyKey, accepted } = options
  resolveNumbers(COMMAND_NUMBERS, options as Readonly<Record<string, unknown>>)
  checkFunction('input', options.input)
  checkFunction('headers', options.headers)
  checkFunction('exists', options.exists)
  check(
    ['accepted', accepted],
    accepted === undefined || (typeof accepted === 'object' && accepted !== null),
    '{ location }',
  )
  if (accepted !== undefined) refuseUnknown(accepted, ['location'], 'accepted')
  checkFunction('accepted.location', accepted?.location)
  check(['methods', methods], isTextList(methods, /^[A-Z]+$/), "a list of methods such as ['GET']")
  check(
    ['produces', produces],
    isTextList(produces, /^[\w.+-]+\/[\w.+-]+$/),
    "a list of media types such as ['application/json']",
  )
  checkChoice('onTimeout', onTimeout, ['accepted', 'gateway-timeout'])
  checkChoice('idempotencyKey', idempotencyKey, ['optional', 'required'])
  const isVain = idempotencyKey === 'required' && !keepsOperations
  check(['idempotencyKey', idempotencyKey], !isVain, "'optional': with store: 'none' no key is kept")
}

function checkChoice(name: string, value: string | undefined, choices: readonly string[]): void {
  const allowed = choices.map((choice) => `'${choice}'`).join(' or ')
  check([name, value], value === undefined || choices.includes(value), allowed)
}

function isTextList(value: unknown, pattern: RegExp): boolean {
  return value === undefined || (Array.isArray(value) && value.length > 0 && value.every((item) => pattern.test(item)))
}

function check([name, value]: readonly [name: string, value: unknown], isValid: boolean, allowed: string): void {
  if (!isValid) throw configError(name, value, allowed)
}
