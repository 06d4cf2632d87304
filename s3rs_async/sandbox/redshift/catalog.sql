-- What a client of Redshift finds in the catalogue. Run once in the database that clients use.
create schema pg_standin;

create table pg_standin.facts (relation oid primary key, facts jsonb not null default '{}');
create table pg_standin.load_errors (
  user_id int default 100, query_id bigint, transaction_id bigint, session_id int,
  database_name varchar(64), table_id int, start_time timestamp default localtimestamp,
  file_name varchar(1024), line_number bigint default 0, column_name varchar(127),
  column_type varchar(64), column_length varchar(16), position int default 0, value varchar(1024),
  error_code int, error_message varchar(512)
);
create table pg_standin.load_history (
  user_id int default 100, query_id bigint, transaction_id bigint, session_id int,
  database_name varchar(64), status varchar(16), table_name varchar(128),
  start_time timestamp default localtimestamp, end_time timestamp default localtimestamp,
  duration bigint default 0, data_source varchar(1024), file_format varchar(16),
  loaded_rows bigint default 0, loaded_bytes bigint default 0, source_file_count int default 0,
  source_file_bytes bigint default 0, file_count_scanned int default 0,
  file_bytes_scanned bigint default 0, error_count int default 0, copy_job_id bigint default 0
);

-- A table's facts, and checks that count bytes where the backend counts characters.
create function pg_standin.record(t oid, facts jsonb) returns void
language sql security definer as $$
  insert into pg_standin.facts values (t, facts)
  on conflict (relation) do update set facts = pg_standin.facts.facts || excluded.facts
    || jsonb_build_object(
      'encode', coalesce(pg_standin.facts.facts->'encode', '{}') || coalesce(excluded.facts->'encode', '{}'),
      'keys', coalesce(pg_standin.facts.facts->'keys', '[]') || coalesce(excluded.facts->'keys', '[]'))
$$;

create function pg_standin.dress(t regclass, facts jsonb) returns void language plpgsql as $$
declare
  item record;
  changes text[] := '{}';
begin
  if facts->>'distkey' is not null and not exists (
      select from pg_attribute where attrelid = t and attname = facts->>'distkey') then
    raise exception using errcode = '42703',
      message = format('column "%s" named in key does not exist', facts->>'distkey');
  end if;
  perform pg_standin.record(t, facts);
  for item in
    select a.attname, a.attnum, y.typname, c.conname,
      case when y.typname = 'bytea' then (facts->'octets'->>a.attname::text)::int
           when a.atttypmod > 4 then a.atttypmod - 4 end as size
    from pg_attribute a join pg_type y on y.oid = a.atttypid
    left join pg_constraint c on c.conrelid = t and c.contype = 'c'
      and c.conname ~ ('^rs_octets_\\d+_' || a.attnum || '$')
    where a.attrelid = t and a.attnum > 0 and not a.attisdropped
      and y.typname in ('varchar', 'bpchar', 'bytea')
  loop
    continue when item.size is null or item.conname = format('rs_octets_%s_%s', item.size, item.attnum);
    if item.conname is not null then
      changes := changes || format('drop constraint %I', item.conname);
    end if;
    changes := changes || format('add constraint rs_octets_%s_%s check (octet_length(%I%s) <= %s%s)',
      item.size, item.attnum, item.attname,
      case when item.typname = 'bytea' then '' else '::text' end, item.size,
      case when item.typname = 'bpchar'
        then format(' and octet_length(%I::text) = char_length(%I::text)', item.attname, item.attname)
        else '' end);
  end loop;
  if changes <> '{}' then
    execute format('alter table %s %s', t, array_to_string(changes, ', '));
  end if;
end $$;

create function pg_standin.octets(t oid, name name) returns int language sql stable as $$
  select coalesce((select (facts->'octets'->>name::text)::int from pg_standin.facts where relation = t), 0)
$$;

create function pg_standin.add_key(t regclass, key text) returns void language sql as $$
  select pg_standin.record(t, jsonb_build_object('keys', jsonb_build_array(key)))
$$;

create function pg_standin.widen(t regclass, col text, size int) returns void language plpgsql as $$
declare
  kind name;
  old int;
begin
  select y.typname, a.atttypmod - 4 into kind, old
  from pg_attribute a join pg_type y on y.oid = a.atttypid
  where a.attrelid = t and a.attname = col and a.attnum > 0 and not a.attisdropped;
  if kind is null then
    raise exception using errcode = '42703',
      message = format('column "%s" of relation "%s" does not exist', col, t);
  elsif kind <> 'varchar' then
    raise exception using errcode = '0A000',
      message = format('cannot alter type of column "%s": it is no VARCHAR', col);
  elsif size < old then
    raise exception using errcode = '0A000',
      message = format('cannot decrease the length of column "%s"', col);
  elsif exists (select from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
      where d.adrelid = t and a.attname = col) then
    raise exception using errcode = '0A000',
      message = format('cannot alter type of column "%s" with a default', col);
  elsif exists (select from pg_standin.facts f where f.relation = t and
      f.facts->'encode'->>col in ('bytedict', 'runlength', 'text255', 'text32k')) then
    raise exception using errcode = '0A000',
      message = format('cannot alter type of column "%s" with its encoding', col);
  end if;
  execute format('alter table %s alter column %I type varchar(%s)', t, col, size);
  perform pg_standin.dress(t, '{}');
end $$;

create function pg_standin.append(target regclass, source regclass) returns void
language plpgsql as $$
declare
  names text;
begin
  if (select relpersistence = 't' from pg_class where oid = target)
     or (select relpersistence = 't' from pg_class where oid = source) then
    raise exception using errcode = '0A000', message = 'ALTER TABLE APPEND needs permanent tables';
  end if;
  if exists (
    (select attname, atttypid, atttypmod from pg_attribute where attrelid = target and attnum > 0 and not attisdropped
     except select attname, atttypid, atttypmod from pg_attribute where attrelid = source and attnum > 0)
    union all
    (select attname, atttypid, atttypmod from pg_attribute where attrelid = source and attnum > 0 and not attisdropped
     except select attname, atttypid, atttypmod from pg_attribute where attrelid = target and attnum > 0)) then
    raise exception using errcode = '0A000', message = 'ALTER TABLE APPEND: the columns of the tables differ';
  end if;
  select string_agg(quote_ident(attname), ', ') into names
  from pg_attribute where attrelid = target and attnum > 0 and not attisdropped;
  execute format('insert into %s (%s) select %s from %s', target, names, names, source);
  execute format('truncate %s', source);
end $$;

-- Functions that Redshift has and PostgreSQL lacks, or has in other words.
create function pg_catalog.pg_last_copy_count() returns bigint language sql volatile as $$
  select coalesce(nullif(current_setting('rs.last_copy_count', true), ''), '0')::bigint
$$;
create function pg_catalog.pg_last_copy_id() returns int language sql volatile as $$
  select coalesce(nullif(current_setting('rs.last_copy_id', true), ''), '-1')::int
$$;
create function pg_catalog.getdate() returns timestamp language sql volatile as $$
  select date_trunc('second', statement_timestamp() at time zone current_setting('TimeZone'))
$$;
create function pg_catalog.sysdate() returns timestamp language sql stable as $$
  select localtimestamp
$$;
create function pg_catalog.json_parse(text) returns jsonb language sql immutable as $$
  select $1::jsonb
$$;
create function pg_catalog.json_serialize(jsonb) returns varchar language sql immutable as $$
  select $1::text::varchar
$$;
create function pg_catalog.len(text) returns int language sql immutable as $$
  select char_length($1)
$$;
create function pg_catalog.octetindex(text, text) returns int language sql immutable as $$
  select octet_length(split_part($2, $1, 1)) + 1
$$;
create or replace function pg_catalog.version() returns text language sql stable as $$
  select 'PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017 (Red Hat 3.4.2-6.fc3), Redshift 1.0.122914'::text
$$;

-- System tables.
create view pg_catalog.sys_load_error_detail as
  select user_id, query_id, transaction_id, session_id, database_name, table_id, start_time,
    file_name, line_number, column_name, column_type, column_length, position, error_code, error_message
  from pg_standin.load_errors;
create view pg_catalog.stl_load_errors as
  select user_id as userid, 0 as slice, table_id as tbl, start_time as starttime,
    session_id as session, query_id as query, file_name as filename, line_number,
    column_name as colname, column_type as type, column_length as col_length, position,
    value as raw_line, value as raw_field_value, error_code as err_code, error_message as err_reason,
    0 as is_partial, 0::bigint as start_offset, 0::bigint as copy_job_id
  from pg_standin.load_errors;
create view pg_catalog.sys_load_history as select * from pg_standin.load_history;

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
grant select on pg_catalog.sys_load_error_detail, pg_catalog.stl_load_errors,
  pg_catalog.sys_load_history, pg_catalog.svv_transactions, pg_catalog.svv_table_info,
  pg_catalog.pg_table_def, pg_catalog.svv_columns, pg_catalog.svv_tables,
  information_schema.columns to public;
