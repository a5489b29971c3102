import type { RecordWrite } from '../../core/store.js'
import type { Names } from './names.js'

/** A write of a record as an element of the JSON text that the statements take. */
export function toRecordValues({ key, value, ifVersion, ttlMs }: RecordWrite) {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
  return { key, value: bytes, expected: ifVersion ?? null, ttl: ttlMs ?? null }
}

/**
 * The parts of a statement that write records, each where its condition holds; `restriction` joins the writes `w` with
 * what they depend on. They follow a part `t` with the time `at_ms`, and give `written` with the keys and versions.
 */
export function recordWritesSql({ records, sequence }: Names, restriction: string, parameter: string): string {
  const isDue = (row: string) => `${row}.expires_at is not null and ${row}.expires_at <= (select at_ms from t)`
  const insert = (name: string, which: string, update: string) => `, ${name} as (
      insert into ${records} as r (key, value, version, expires_at)
      select key, value, version, expires_at from writes where ${which} order by key
      on conflict (key) do update
        set value = excluded.value, version = excluded.version, expires_at = excluded.expires_at ${update}
      returning r.key, r.version
    )`
  // Versions come from one sequence, so that none comes back with a record that is made anew.
  return `, writes as materialized (
      select w.key, decode(w.value, 'base64') as value, w.expected, nextval('${sequence}') as version,
        t.at_ms + w.ttl as expires_at
      from json_to_recordset(${parameter}::text::json) as w(owner text, key text, value text, expected bigint, ttl bigint)
        cross join t ${restriction}
    ), expected as materialized (
      select r.key from ${records} r join writes w on w.key = r.key where w.expected > 0 order by r.key for update of r
    ), changed as (
      update ${records} r set value = w.value, version = w.version, expires_at = w.expires_at
      from writes w where w.key = r.key and w.expected > 0 and r.version = w.expected
        and r.key in (select key from expected) and not (${isDue('r')})
      returning r.key, r.version
    )${insert('put', 'expected is null', '')}${insert('made', 'expected = 0', `where ${isDue('r')}`)}, written as (
      select * from changed union all select * from put union all select * from made
    )`
}
