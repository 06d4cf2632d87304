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
