-- The schema of the stand-in's own: facts about tables, rows of the logs, and the switches of rules.
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

-- Whether a rule is in force for this session.
create function pg_standin.holds(rule text) returns boolean language sql stable as $$
  select not rule = any (string_to_array(coalesce(current_setting('s3rs_standin.off', true), ''), ','))
$$;
