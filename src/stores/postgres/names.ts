import { GatewayError } from '../../core/errors.js'

/** Where the tables are. */
export interface SchemaOptions {
  /** The schema of the tables, made when it is missing. @default 'public' */
  readonly schema?: string
  /** How the names of all tables, functions and indexes begin. @default 'respond_async_' */
  readonly prefix?: string
}

/** Everything in the database that has a name, ready to be put into a statement. */
export interface Names {
  readonly schema: string
  readonly prefix: string
  readonly operations: string
  readonly open: string
  readonly records: string
  readonly control: string
  readonly sequence: string
  readonly announce: string
  readonly lease: string
  readonly sweep: string
  /** The channel of NOTIFY, which is one for the whole database. PGlite takes plain names only. */
  readonly channel: string
}

/** @throws GatewayError ERR_CONFIG for names that would have to be quoted, or become too long. */
export function namesOf({ schema = 'public', prefix = 'respond_async_' }: SchemaOptions): Names {
  for (const [option, value] of Object.entries({ schema, prefix })) {
    if (/^[a-z_][a-z0-9_]{0,29}$/.test(typeof value === 'string' ? value : '') || (option === 'prefix' && value === ''))
      continue
    const rule = 'at most 30 lower-case letters, digits and underscores, and no digit in front'
    throw new GatewayError('ERR_CONFIG', `postgres: ${option} must be ${rule}, not ${JSON.stringify(value)}.`)
  }
  const name = (suffix: string) => `"${schema}"."${prefix}${suffix}"`
  return {
    schema,
    prefix,
    operations: name('operations'),
    open: name('open'),
    records: name('records'),
    control: name('control'),
    sequence: name('sequence'),
    announce: name('announce'),
    lease: name('lease'),
    sweep: name('sweep'),
    channel: `${schema}_${prefix}`,
  }
}

/** The server's time in milliseconds since the epoch, rounded down as `Date.now()` is. */
export const NOW = 'floor(extract(epoch from clock_timestamp()) * 1000)::bigint'
