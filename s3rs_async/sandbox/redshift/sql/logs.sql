-- What loads leave behind. A connection of the stand-in's own writes it, so it outlives a rollback.
-- There is one user, so "regular users see only their own rows" is not emulated.
create table pg_standin.loads (
  query_id bigint primary key, user_id int, transaction_id bigint, session_id int,
  database_name text, status text, table_name text, table_id int,
  start_time timestamp, end_time timestamp, data_source text, file_format text,
  loaded_rows bigint not null default 0, loaded_bytes bigint not null default 0,
  source_file_count int not null default 0, source_file_bytes bigint not null default 0,
  error_count bigint not null default 0
);
create table pg_standin.load_files (
  query_id bigint not null, file_name text, bytes bigint, lines bigint, at timestamp
);
create table pg_standin.load_errors (
  query_id bigint not null, file_name text, column_name text, column_type text,
  column_length text, value text, error_code int, error_message text
);
create index on pg_standin.load_files (query_id);
create index on pg_standin.load_errors (query_id);

create view pg_catalog.sys_load_history as
  select user_id, query_id, transaction_id, session_id, database_name, status, table_name,
    start_time, end_time,
    (extract(epoch from coalesce(end_time, statement_timestamp() at time zone 'UTC') - start_time)
      * 1000000)::bigint as duration,
    data_source, file_format, loaded_rows, loaded_bytes, source_file_count, source_file_bytes,
    source_file_count as file_count_scanned, source_file_bytes as file_bytes_scanned,
    error_count, 0::bigint as copy_job_id
  from pg_standin.loads
  where (status <> 'running' or pg_standin.holds('C4'))
    and (status <> 'completed' or pg_standin.holds('C6')
      or pg_catalog.pg_xact_status(transaction_id::text::xid8) is distinct from 'aborted');

create view pg_catalog.sys_load_detail as
  select l.user_id, f.query_id::int as query_id, pg_standin.fixed(f.file_name, 256) as file_name,
    f.bytes::int as bytes_scanned, f.lines::int as lines_scanned, f.at as record_time,
    1 as splits_scanned, l.start_time, f.at as end_time,
    null::character(256) as file_etag, null::timestamp as file_last_modified
  from pg_standin.load_files f join pg_standin.loads l using (query_id)
  where pg_standin.holds('C8');
create view pg_catalog.stl_load_commits as
  select l.user_id as userid, f.query_id::int as query, 0 as slice,
    pg_standin.fixed('', 256) as name, pg_standin.fixed(f.file_name, 256) as filename,
    f.bytes::int as byte_offset, f.lines::int as lines_scanned, 0 as errors, f.at as curtime,
    1 as status, pg_standin.fixed(l.file_format, 16) as file_format, 0 as is_partial,
    0::bigint as start_offset, 0::bigint as copy_job_id
  from pg_standin.load_files f join pg_standin.loads l using (query_id)
  where pg_standin.holds('C8');

create view pg_catalog.sys_load_error_detail as
  select l.user_id, e.query_id, l.transaction_id, l.session_id,
    pg_standin.fixed(l.database_name, 64) as database_name, l.table_id, l.start_time,
    pg_standin.fixed(e.file_name, 256) as file_name, 0::bigint as line_number,
    pg_standin.fixed(e.column_name, 127) as column_name,
    pg_standin.fixed(e.column_type, 10) as column_type,
    pg_standin.fixed(e.column_length, 10) as column_length, 0 as position, e.error_code,
    pg_standin.fixed(e.error_message, 512) as error_message
  from pg_standin.load_errors e join pg_standin.loads l using (query_id);
create view pg_catalog.stl_load_errors as
  select l.user_id as userid, 0 as slice, l.table_id as tbl, l.start_time as starttime,
    l.session_id as session, e.query_id::int as query,
    pg_standin.fixed(e.file_name, 256) as filename, 0::bigint as line_number,
    pg_standin.fixed(e.column_name, 127) as colname, pg_standin.fixed(e.column_type, 10) as type,
    pg_standin.fixed(e.column_length, 10) as col_length, 0 as position,
    pg_standin.fixed(case when pg_standin.holds('C14')
      then regexp_replace(e.value, '[^[:ascii:]]', '.', 'g') else e.value end, 1024) as raw_line,
    pg_standin.fixed(e.value, 1024) as raw_field_value, e.error_code as err_code,
    pg_standin.fixed(e.error_message, 100) as err_reason, 0 as is_partial,
    0::bigint as start_offset, 0::bigint as copy_job_id
  from pg_standin.load_errors e join pg_standin.loads l using (query_id)
  where pg_standin.holds('C2');
create view pg_catalog.stl_loaderror_detail as
  select l.user_id as userid, 0 as slice, l.session_id as session, e.query_id::int as query,
    pg_standin.fixed(e.file_name, 256) as filename, 0::bigint as line_number,
    a.attnum::int as field, pg_standin.fixed(e.column_name, 1024) as colname,
    pg_standin.fixed(e.value, 1024) as value, 0 as is_null,
    pg_standin.fixed(e.column_type, 10) as type,
    pg_standin.fixed(e.column_length, 10) as col_length
  from pg_standin.load_errors e join pg_standin.loads l using (query_id)
  left join pg_catalog.pg_attribute a on a.attrelid = l.table_id and a.attname = e.column_name
  where e.column_name <> '' and pg_standin.holds('C2');
