-- What sessions do now. The stand-in's own connections are not shown.
create view pg_standin.sessions as
  select a.*, coalesce(a.backend_xid::text::bigint, 0) as xid,
    -- Keys never reach the backend, unless the rules that keep them away are switched off.
    regexp_replace(a.query,
      '(access_key_id|secret_access_key|session_token|credentials|password)(\s+as)?(\s+)''(?:[^'']|'''')*''',
      '\1\3''''', 'gi') as statement
  from pg_catalog.pg_stat_activity a
  where a.backend_type = 'client backend' and a.datname = pg_catalog.current_database()
    and a.usename <> 'postgres';

-- The backend takes locks of its own besides the one that Redshift would show, and calls the lock of
-- a writer otherwise.
create view pg_catalog.svv_transactions as
  select a.usename::text as txn_owner, a.datname::text as txn_db,
    coalesce(a.backend_xid::text::bigint, split_part(l.virtualtransaction, '/', 2)::bigint) as xid,
    l.pid, a.xact_start at time zone 'UTC' as txn_start,
    case when l.locktype = 'relation' and l.mode = 'ExclusiveLock' and pg_standin.holds('C15')
      then 'ShareRowExclusiveLock' else l.mode end as lock_mode,
    case when l.locktype = 'relation' then 'relation' else 'transactionid' end as lockable_object_type,
    l.relation::int as relation, l.granted
  from pg_catalog.pg_locks l join pg_standin.sessions a on a.pid = l.pid
  where l.locktype in ('relation', 'transactionid')
    and (l.locktype <> 'relation' or l.mode not in ('RowShareLock', 'RowExclusiveLock')
      or not pg_standin.holds('C15'));

create view pg_catalog.stv_locks as
  select t.relation::bigint as table_id, null::timestamp as last_commit,
    null::timestamp as last_update, t.xid as lock_owner, t.pid::bigint as lock_owner_pid,
    t.txn_start as lock_owner_start_ts, null::timestamp as lock_owner_end_ts,
    (case when t.granted then 'Holding write lock' else 'Waiting for write lock' end)::character(22)
      as lock_status
  from pg_catalog.svv_transactions t
  where t.lockable_object_type = 'relation' and t.lock_mode <> 'AccessShareLock'
    and pg_standin.holds('C19');
create view pg_catalog.stv_sessions as
  select a.backend_start at time zone 'UTC' as starttime, a.pid as process,
    a.usename::character(50) as user_name, a.datname::character(50) as db_name, 0 as timeout_sec
  from pg_standin.sessions a where pg_standin.holds('C19');
create view pg_catalog.stv_recents as
  select a.usesysid::int as userid,
    (case when a.state in ('active', 'fastpath function call') then 'Running' else 'Done' end)::character(20)
      as status,
    a.query_start at time zone 'UTC' as starttime,
    (extract(epoch from case when a.state = 'active' then clock_timestamp() else a.state_change end
      - a.query_start) * 1000000)::int as duration,
    a.usename::character(50) as user_name, a.datname::character(50) as db_name,
    a.statement::character(600) as query, case when a.state = 'active' then a.pid else -1 end as pid
  from pg_standin.sessions a where a.query_start is not null and pg_standin.holds('C19');
create view pg_catalog.stv_inflight as
  select a.usesysid::int as userid, 0 as slice, a.pid as query, ''::character(320) as label,
    a.xid, a.pid, a.query_start at time zone 'UTC' as starttime, a.statement::character(100) as text,
    0 as suspended, 0 as insert_pristine, 0 as concurrency_scaling_status
  from pg_standin.sessions a where a.state = 'active' and pg_standin.holds('C19');
