import { type Names, NOW } from './names.js'

/** Below the 8,000 bytes that NOTIFY allows, with room for the sender. */
const PAYLOAD_BYTES = 7_800

/** How many rows of the list of open operations one pass looks at. */
const WINDOW = 2_000

/** A plan that a session made while the tables were small would read all of them when they are large. */
const PLANNED = 'set plan_cache_mode = force_custom_plan'

/** Announces ids to all who listen; one transaction may send several parts, and takes the lock of NOTIFY once. */
export function announceSql({ announce, channel }: Names): string {
  return `
create or replace function ${announce}(sender text, ids text[]) returns integer language plpgsql as $body$
declare
  part text[] := '{}';
  size integer := 0;
  one text;
begin
  foreach one in array coalesce(ids, '{}') loop
    if size + octet_length(to_json(one)::text) + 1 > ${PAYLOAD_BYTES} - octet_length(sender) then
      perform pg_notify('${channel}', sender || ' ' || array_to_json(part)::text);
      part := '{}';
      size := 0;
    end if;
    part := part || one;
    size := size + octet_length(to_json(one)::text) + 1;
  end loop;
  if size > 0 then
    perform pg_notify('${channel}', sender || ' ' || array_to_json(part)::text);
  end if;
  return cardinality(ids);
end $body$;`
}

/**
 * Lends what is running and unpublished, the oldest first. The lock on the control row lets one lease after the other
 * look, each with a fresh snapshot: so none lends an operation while an older one of its lane is being lent elsewhere.
 * One lease looks at so many batches at most, as those behind a held lane stay; the next one goes on where it stopped.
 * A lane of which something was left behind waits then until the beginning is looked at again.
 */
export function leaseSql(names: Names): string {
  const { lease, control, open } = names
  return `
create or replace function ${lease}(older_than bigint, lease_for bigint, most integer)
returns json language plpgsql ${PLANNED} as $body$
declare
  token bigint;
  at_ms bigint := ${NOW};
  looked_to bigint;
  passed text[];
  seen bigint[];
  lent_ids text[];
begin
  update ${control} set lease_token = lease_token + 1
    returning lease_token, lease_cursor, lease_passed into token, looked_to, passed;
  -- Rows of the list are locked before operations, here and in the sweep.
  select coalesce(array_agg(batch order by batch), '{}') into seen from (
    select batch from ${open} where not settled and batch > looked_to and created_at <= at_ms - older_than
    order by batch limit ${WINDOW} for update
  ) as window_rows;
${lendSql(names)}
  -- Back to the beginning, where leases may be over by now, once the end is reached or enough is lent.
  if cardinality(seen) = ${WINDOW} and cardinality(lent_ids) < most then
    update ${control} set lease_cursor = seen[${WINDOW}], lease_passed = passed;
  elsif looked_to > 0 then
    update ${control} set lease_cursor = 0, lease_passed = '{}';
  end if;
${settleSeenSql(names)}
  return json_build_object('token', token, 'ids', to_json(lent_ids));
end $body$;`
}

/** Lends what is free in the batches that are seen, and adds the lanes in a full window of them to those passed. */
function lendSql({ open, operations }: Names): string {
  return `  with candidates as materialized (
    select o.id, o.seq, o.lane, o.leased_until
    from ${open} b cross join unnest(b.ids) as i(id) join ${operations} o on o.id = i.id
    where b.batch = any(seen) and o.state = 'running' and not o.published and o.expires_at > at_ms
  ), queued as (
    -- By a window and not by a join of the lanes with themselves: of thousands of lanes each was compared with each.
    select id, seq, lane, leased_until, min(seq) filter (where leased_until > at_ms) over (partition by lane) as held
    from candidates
  ), free as (
    select id from queued q
    where leased_until <= at_ms and (lane is null
      or ((held is null or held > seq) and not exists (select from unnest(passed) as p(lane) where p.lane = q.lane)))
    order by seq limit most
  ), locked as materialized (
    select o.id from ${operations} o where o.id in (select id from free) order by o.id for update
  ), lent as (
    update ${operations} o set lease_token = token, leased_until = at_ms + lease_for
    from locked l where o.id = l.id and o.state = 'running' and not o.published
    returning o.id
  )
  select (select coalesce(array_agg(id), '{}') from lent),
    (select coalesce(array_agg(distinct lane), '{}') from (
      select lane from candidates where cardinality(seen) = ${WINDOW} union all select unnest(passed)
    ) as left_behind where lane is not null)
    into lent_ids, passed;`
}

/** Takes off the list what need not be looked at again. */
function settleSeenSql({ open, operations }: Names): string {
  return `  -- What is seen to have ended has done so for good, and the same holds for what is published.
  with looked as materialized (
    select b.batch,
      coalesce(array_agg(o.id) filter (where o.state = 'running'), '{}') as running,
      count(*) filter (where o.state = 'running' and not o.published) as unpublished
    from ${open} b cross join unnest(b.ids) as i(id) left join ${operations} o on o.id = i.id
    where b.batch = any(seen) group by b.batch
  ), gone as (
    delete from ${open} b using looked k where b.batch = k.batch and cardinality(k.running) = 0
  )
  update ${open} b set settled = true, ids = k.running
  from looked k where b.batch = k.batch and cardinality(k.running) > 0 and k.unpublished = 0;`
}

/** Ends what is past its time, and gives that. */
export function sweepSql(names: Names): string {
  const { sweep, open, operations, announce } = names
  return `
create or replace function ${sweep}(most integer, reason text, sender text)
returns setof ${operations} language plpgsql ${PLANNED} as $body$
declare
  at_ms bigint := ${NOW};
  seen bigint[];
  expired text[] := '{}';
begin
  select coalesce(array_agg(batch), '{}') into seen from (
    select batch from ${open} where due_at <= at_ms order by due_at limit ${WINDOW} for update skip locked
  ) as due_rows;
  if cardinality(seen) > 0 then
    with due as (
      select o.id from ${open} b cross join unnest(b.ids) as i(id) join ${operations} o on o.id = i.id
      where b.batch = any(seen) and o.state = 'running' and o.expires_at <= at_ms
      order by o.expires_at limit most
    ), locked as materialized (
      select o.id from ${operations} o where o.id in (select id from due) order by o.id for update
    ), ended as (
      -- As of the time at which it fell due, so that its state does not depend on when somebody looked.
      update ${operations} o set state = 'expired', version = o.version + 1, updated_at = o.expires_at,
        expires_at = o.expires_at + o.retention_ms, request = null, error = reason
      from locked l where o.id = l.id and o.state = 'running' and o.expires_at <= at_ms
      returning o.id
    )
    select coalesce(array_agg(id), '{}') into expired from ended;
    with looked as materialized (
      select b.batch, coalesce(array_agg(o.id) filter (where o.id is not null), '{}') as running,
        min(o.expires_at) as due_at
      from ${open} b cross join unnest(b.ids) as i(id)
        left join ${operations} o on o.id = i.id and o.state = 'running'
      where b.batch = any(seen) group by b.batch
    ), gone as (
      delete from ${open} b using looked k where b.batch = k.batch and cardinality(k.running) = 0
    )
    update ${open} b set ids = k.running, due_at = k.due_at
    from looked k where b.batch = k.batch and cardinality(k.running) > 0;
    perform ${announce}(sender, expired);
    -- Here, where no other sweep can have dropped them.
    return query select o.* from ${operations} o where o.id = any(expired) order by o.seq;
  end if;
end $body$;`
}
