-- System tables.
create view pg_catalog.svv_transactions as
  select a.usename::text as txn_owner, a.datname::text as txn_db,
    coalesce(a.backend_xid::text::bigint, split_part(l.virtualtransaction, '/', 2)::bigint) as xid,
    l.pid, a.xact_start at time zone 'UTC' as txn_start, l.mode::text as lock_mode,
    case when l.locktype = 'relation' then 'relation' else 'transactionid' end as lockable_object_type,
    l.relation::int as relation, l.granted
  from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a on a.pid = l.pid
  where a.backend_type = 'client backend'
    and a.datname = pg_catalog.current_database()
    and l.locktype in ('relation', 'transactionid');
create view pg_catalog.svv_table_info as
  select pg_catalog.current_database()::text as database, n.nspname::text as schema,
    c.oid::int as table_id, c.relname::text as "table",
    case when f.facts->'encode' is null or f.facts->'encode' = '{}' then 'Y, AUTO(ENCODE)' else 'Y' end as encoded,
    case f.facts->>'diststyle' when 'KEY' then 'KEY(' || (f.facts->>'distkey') || ')'
      when 'AUTO' then 'AUTO(ALL)' else coalesce(f.facts->>'diststyle', 'AUTO(ALL)') end as diststyle,
    coalesce(f.facts->'sortkey'->>0, 'AUTO(SORTKEY)') as sortkey1,
    coalesce(jsonb_array_length(f.facts->'sortkey'), 0) as sortkey_num,
    coalesce(f.facts->>'sortstyle', 'AUTO') as sortstyle,
    (pg_catalog.pg_relation_size(c.oid) / 1048576)::bigint as size,
    greatest(c.reltuples, 0)::numeric(38,0) as tbl_rows, (f.facts->'keys')::text as keys
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join pg_standin.facts f on f.relation = c.oid
  where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema';
create view pg_catalog.pg_table_def as
  select n.nspname::text as schemaname, c.relname::text as tablename, a.attname::text as "column",
    case when a.atttypid = 'jsonb'::regtype then 'super'
      when a.atttypid = 'bytea'::regtype then 'binary varying(' || pg_standin.octets(c.oid, a.attname) || ')'
      else pg_catalog.format_type(a.atttypid, a.atttypmod) end as type,
    coalesce(f.facts->'encode'->>a.attname::text, 'none') as encoding,
    coalesce(f.facts->>'distkey' = a.attname::text, false) as distkey,
    coalesce((select k.at::int from pg_catalog.jsonb_array_elements_text(f.facts->'sortkey')
      with ordinality as k(name, at) where k.name = a.attname::text), 0) as sortkey,
    a.attnotnull as "notnull"
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  left join pg_standin.facts f on f.relation = c.oid
  where c.relkind = 'r' and n.nspname <> 'information_schema' and n.nspname !~ '^pg_(catalog|toast|standin)'
    and pg_catalog.pg_table_is_visible(c.oid);

-- Redshift's words for types where the backend's own would show.
alter view information_schema.columns rename to standin_columns;
do $$
declare
  names text;
begin
  select string_agg(case column_name
    when 'data_type' then 'case data_type when ''jsonb'' then ''super'' when ''bytea'' then ''binary varying'' else data_type end::information_schema.character_data as data_type'
    when 'udt_name' then 'case udt_name when ''jsonb'' then ''super'' when ''bytea'' then ''varbyte'' else udt_name end::information_schema.sql_identifier as udt_name'
    when 'character_octet_length' then 'character_maximum_length as character_octet_length'
    when 'character_maximum_length' then 'case when data_type = ''bytea'' then pg_standin.octets(to_regclass(quote_ident(table_schema) || ''.'' || quote_ident(table_name)), column_name::name) else character_maximum_length end::information_schema.cardinal_number as character_maximum_length'
    else quote_ident(column_name) end, ', ' order by ordinal_position) into names
  from information_schema.standin_columns
  where table_schema = 'information_schema' and table_name = 'standin_columns';
  execute 'create view information_schema.columns as select ' || names
    || ' from information_schema.standin_columns';
end $$;
create view pg_catalog.svv_columns as
  select table_catalog, table_schema, table_name, column_name, ordinal_position, column_default,
    is_nullable, data_type, character_maximum_length, numeric_precision, numeric_scale,
    datetime_precision, null::text as remarks
  from information_schema.columns;
create view pg_catalog.svv_tables as
  select table_catalog, table_schema, table_name, table_type, null::text as remarks
  from information_schema.tables;

grant usage on schema pg_standin to public;
grant select on all tables in schema pg_standin to public;
grant select on pg_catalog.sys_load_history, pg_catalog.sys_load_detail,
  pg_catalog.sys_load_error_detail, pg_catalog.stl_load_errors, pg_catalog.stl_loaderror_detail,
  pg_catalog.stl_load_commits, pg_catalog.svv_transactions, pg_catalog.svv_table_info,
  pg_catalog.pg_table_def, pg_catalog.svv_columns, pg_catalog.svv_tables,
  information_schema.columns to public;
