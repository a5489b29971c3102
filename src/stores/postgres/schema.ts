import { GatewayError } from '../../core/errors.js'
import { refuseUnknown } from '../../core/options.js'
import { createDatabase, type PostgresClient } from './client.js'
import { announceSql, leaseSql, sweepSql } from './functions.js'
import { type Names, namesOf, type SchemaOptions } from './names.js'

/** The version of the tables that this release works with. */
const VERSION = 1

/** What each version adds to the one before. A step that has been released never changes. */
const STEPS: readonly ((names: Names) => string)[] = [
  (names) => operationsSql(names) + listsSql(names) + announceSql(names) + leaseSql(names) + sweepSql(names),
]

/**
 * Creates the tables or brings them up to date, in one transaction; with nothing to do it does nothing. Any number of
 * instances may call it at once. Needs the right to create in the schema; the store itself does not.
 */
export async function migrate(client: PostgresClient, options: SchemaOptions = {}): Promise<void> {
  await createDatabase(client).query(schemaSql(options))
}

/** What `migrate` runs, as SQL for those who change their databases by other means. */
export function schemaSql(options: SchemaOptions = {}): string {
  refuseUnknown(options, ['schema', 'prefix'], 'schemaSql() or migrate()')
  const names = namesOf(options)
  const steps = STEPS.map((step, index) => {
    const version = index + 1
    return `  if has < ${version} then${step(names)}
    update ${names.control} set version = ${version}, compatible = ${version};
  end if;`
  })
  return `do $migrate$
declare
  has integer;
begin
  -- One after the other, whoever comes at the same time.
  perform pg_advisory_xact_lock(hashtext('respond-async'), hashtext('${names.channel}'));
  if to_regnamespace('"${names.schema}"') is null then
    create schema "${names.schema}";
  end if;
  create table if not exists ${names.control} (
    version integer not null,
    -- The oldest version whose releases can work with these tables.
    compatible integer not null,
    lease_token bigint not null default 0,
    -- The last batch that leases have looked at, 0 for none, and the lanes of what they left in front of it.
    lease_cursor bigint not null default 0,
    lease_passed text[] not null default '{}'
  );
  select version into has from ${names.control};
  if has is null then
    insert into ${names.control} (version, compatible) values (0, 0);
    has := 0;
  end if;
${steps.join('\n')}
end $migrate$;
`
}

/** @throws GatewayError ERR_CONFIG, which says what to run, when the tables are missing or of another version. */
export function checkVersion(found: { version: number; compatible: number } | undefined, names: Names): void {
  if (found !== undefined && found.version >= VERSION && found.compatible <= VERSION) return
  const where = `with { schema: '${names.schema}', prefix: '${names.prefix}' }`
  const help = `Call migrate(client, options) of respond-async/postgres ${where}, or run what schemaSql(options) gives.`
  if (found === undefined || found.version < 1)
    throw new GatewayError('ERR_CONFIG', `postgres: the tables are missing. ${help}`)
  const text = `postgres: the tables have version ${found.version}, and this release needs ${VERSION}.`
  throw new GatewayError('ERR_CONFIG', found.version < VERSION ? `${text} ${help}` : `${text} Use a newer release.`)
}

// No index has a column that changes when an operation ends, so that its new version goes beside the old one in the
// same page (HOT), for which half of each page is kept free: a partial index on the state would end that.
function operationsSql({ operations, sequence, prefix }: Names): string {
  return `
    create sequence ${sequence};
    create table ${operations} (
      id text collate "C" primary key,
      seq bigint not null,
      command text not null,
      state text not null default 'running',
      version integer not null default 1,
      published boolean not null default false,
      -- Times in milliseconds since the epoch, by the clock of this server.
      created_at bigint not null,
      updated_at bigint not null,
      expires_at bigint not null,
      retention_ms bigint not null,
      -- The latest time at which the row can be dropped.
      purge_at bigint not null,
      lease_token bigint not null default 0,
      leased_until bigint not null default 0,
      -- Operations of one lane are published in the order of their creation.
      lane text,
      -- Digest of the idempotency key.
      idempotency bytea,
      -- Events and the rest are JSON texts with a format version.
      head text not null,
      request text,
      progress text,
      progress_sequence bigint,
      result text,
      error text,
      late_result text,
      conflicting_result text
    ) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
    create unique index "${prefix}operations_key" on ${operations} (idempotency) where idempotency is not null;
    create index "${prefix}operations_purge" on ${operations} (purge_at);`
}

function listsSql({ open, records, prefix }: Names): string {
  return `
    -- Operations that may still be running, by the batch that made them: what relay and sweep look through.
    create table ${open} (
      batch bigint generated always as identity primary key,
      created_at bigint not null,
      due_at bigint not null,
      -- True once all that are left have been published.
      settled boolean not null default false,
      ids text[] not null
    ) with (autovacuum_vacuum_scale_factor = 0.05);
    create index "${prefix}open_unsettled" on ${open} (batch) where not settled;
    create index "${prefix}open_due" on ${open} (due_at);
    create table ${records} (
      key text collate "C" primary key,
      value bytea not null,
      version bigint not null,
      expires_at bigint
    ) with (fillfactor = 80);
    create index "${prefix}records_expiry" on ${records} (expires_at) where expires_at is not null;
`
}
