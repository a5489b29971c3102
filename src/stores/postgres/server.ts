import { GatewayError } from '../../core/errors.js'
import type { Durability } from '../../core/transport.js'
import type { Database } from './client.js'
import type { Names } from './names.js'
import { checkVersion } from './schema.js'

interface Settings {
  readonly fsync: string
  readonly synchronous_commit: string
  readonly writer_delay_ms: number
  readonly server_version: number
  readonly standby: boolean
}

/** PostgreSQL 12: the oldest that has everything the statements use. */
const OLDEST_SERVER = 120_000

/**
 * Looks at the server and the tables before the first call.
 * @throws GatewayError ERR_CONFIG when they do not fit, ERR_STORE_UNAVAILABLE when it is a standby.
 */
export async function inspect(db: Database, names: Names): Promise<Durability> {
  const [settings] = await db.query<Settings>(`select current_setting('fsync') as fsync,
    current_setting('synchronous_commit') as synchronous_commit,
    (select setting::float8 from pg_settings where name = 'wal_writer_delay') as writer_delay_ms,
    current_setting('server_version_num')::float8 as server_version, pg_is_in_recovery() as standby`)
  if (settings === undefined) throw new GatewayError('ERR_CONFIG', 'postgres: the client gives no rows.')
  if (settings.server_version < OLDEST_SERVER)
    throw new GatewayError('ERR_CONFIG', 'postgres: the server is older than PostgreSQL 12.')
  if (settings.standby)
    throw new GatewayError('ERR_STORE_UNAVAILABLE', 'The database is a standby.', { outcome: 'not-accepted' })
  const [there] = await db.query<{ is_there: boolean }>('select to_regclass($1) is not null as is_there', [
    names.control,
  ])
  const [version] = there?.is_there
    ? await db.query<{ version: number; compatible: number }>(`select version, compatible from ${names.control}`)
    : []
  checkVersion(version, names)
  return durabilityOf(settings)
}

function durabilityOf({ fsync, synchronous_commit: commit, writer_delay_ms: delayMs }: Settings): Durability {
  // Without fsync a crash of the machine can cost the whole database.
  if (fsync === 'off') return { class: 'process' }
  // PostgreSQL's manual, "Asynchronous Commit": at most three times the delay of the WAL writer.
  return commit === 'off' ? { class: 'durable', mayLoseMs: 3 * delayMs } : { class: 'durable' }
}
