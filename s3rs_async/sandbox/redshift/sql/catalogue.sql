-- Views of tables and columns in Redshift's words.
create function pg_standin.bytes(t oid) returns bigint language sql stable security definer as $$
  select (pg_catalog.pg_stat_file(pg_catalog.pg_relation_filepath(t), true)).size
$$;

-- Looking takes no lock on the tables looked at: one that is held must not stop who looks for it.
create view pg_catalog.svv_table_info as
  select pg_catalog.current_database()::text as database, n.nspname::text as schema,
    c.oid as table_id, c.relname::text as "table",
    case when coalesce(nullif(f.facts->'encode', 'null'), '{}') = '{}' then 'Y, AUTO(ENCODE)' else 'Y' end
      as encoded,
    case f.facts->>'diststyle' when 'KEY' then 'KEY(' || (f.facts->>'distkey') || ')'
      when 'AUTO' then 'AUTO(ALL)' else coalesce(f.facts->>'diststyle', 'AUTO(ALL)') end as diststyle,
    coalesce(f.facts->'sortkey'->>0, 'AUTO(SORTKEY)') as sortkey1,
    (select max(a.atttypmod - 4) from pg_catalog.pg_attribute a
      where a.attrelid = c.oid and a.atttypid = 1043 and a.attnum > 0 and not a.attisdropped)
      as max_varchar,
    (f.facts->'encode'->>(f.facts->'sortkey'->>0))::character(32) as sortkey1_enc,
    coalesce(jsonb_array_length(nullif(f.facts->'sortkey', 'null')), 0) as sortkey_num,
    (pg_standin.bytes(c.oid) / 1048576)::bigint as size, null::numeric(10,4) as pct_used,
    null::bigint as empty, null::numeric(5,2) as unsorted, null::numeric(5,2) as stats_off,
    nullif(c.reltuples, -1)::numeric(38,0) as tbl_rows, null::numeric(19,2) as skew_sortkey1,
    null::numeric(19,2) as skew_rows, nullif(c.reltuples, -1)::numeric(38,0) as estimated_visible_rows,
    null::text as risk_event, null::numeric(12,2) as vacuum_sort_benefit, null::timestamp as create_time
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join pg_standin.facts f on f.relation = c.oid
  where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and (pg_standin.bytes(c.oid) > 0 or not pg_standin.holds('C11'));
create view pg_catalog.pg_table_def as
  select n.nspname::text as schemaname, c.relname::text as tablename, a.attname::text as "column",
    pg_catalog.format_type(a.atttypid, a.atttypmod) as type,
    coalesce(f.facts->'encode'->>a.attname::text, 'none') as encoding,
    a.attisdistkey as distkey, a.attsortkeyord as sortkey, a.attnotnull as "notnull"
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_standin.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  left join pg_standin.facts f on f.relation = c.oid
  where c.relkind = 'r' and n.nspname <> 'information_schema'
    and n.nspname !~ '^pg_(catalog|toast|standin)'
    and (pg_catalog.pg_table_is_visible(c.oid) or not pg_standin.holds('C12'));

-- information_schema.columns, with Redshift's words for types where the backend's own would show.
alter view information_schema.columns rename to standin_columns;
do $$
declare
  names text;
begin
  select string_agg(case column_name
    when 'data_type' then 'case when udt_name not in (''jsonb'', ''bytea'') then data_type when not pg_standin.holds(''C13'') then udt_name else case udt_name when ''jsonb'' then ''super'' else ''binary varying'' end end::information_schema.character_data as data_type'
    when 'udt_name' then 'case when pg_standin.holds(''C13'') then case udt_name when ''jsonb'' then ''super'' when ''bytea'' then ''varbyte'' else udt_name end else udt_name end::information_schema.sql_identifier as udt_name'
    when 'character_octet_length' then 'character_maximum_length as character_octet_length'
    when 'character_maximum_length' then 'case when udt_name = ''bytea'' and pg_standin.holds(''C13'') then nullif(pg_standin.octets(to_regclass(quote_ident(table_schema) || ''.'' || quote_ident(table_name)), column_name::name), 0) else character_maximum_length end::information_schema.cardinal_number as character_maximum_length'
    else quote_ident(column_name) end, ', ' order by ordinal_position) into names
  from information_schema.standin_columns
  where table_schema = 'information_schema' and table_name = 'standin_columns';
  execute 'create view information_schema.columns as select ' || names
    || ' from information_schema.standin_columns where table_schema <> ''pg_standin''';
end $$;

create view pg_catalog.svv_columns as
  select c.table_catalog::text, c.table_schema::text, c.table_name::text, c.column_name::text,
    c.ordinal_position::int, c.column_default::text, c.is_nullable::text, c.data_type::text,
    c.character_maximum_length::int, c.numeric_precision::int, c.numeric_precision_radix::int,
    c.numeric_scale::int, c.datetime_precision::int, c.interval_type::text,
    c.interval_precision::text, c.character_set_catalog::text, c.character_set_schema::text,
    c.character_set_name::text, c.collation_catalog::text, c.collation_schema::text,
    c.collation_name::text, c.domain_name::text,
    pg_catalog.col_description(
      pg_catalog.to_regclass(quote_ident(c.table_schema) || '.' || quote_ident(c.table_name))::oid,
      c.ordinal_position) as remarks
  from information_schema.columns c;
create view pg_catalog.svv_tables as
  select t.table_catalog::text, t.table_schema::text, t.table_name::text, t.table_type::text,
    pg_catalog.obj_description(
      pg_catalog.to_regclass(quote_ident(t.table_schema) || '.' || quote_ident(t.table_name))::oid,
      'pg_class') as remarks
  from information_schema.tables t where t.table_schema <> 'pg_standin';

-- The same by database. There is one, and nothing outside it.
create view pg_catalog.svv_all_columns as
  select table_catalog::varchar(128) as database_name, table_schema::varchar(128) as schema_name,
    table_name::varchar(128), column_name::varchar(128), ordinal_position,
    column_default::varchar(4000), is_nullable::varchar(3), data_type::varchar(128),
    character_maximum_length, numeric_precision, numeric_scale, remarks::varchar(256)
  from pg_catalog.svv_columns where pg_standin.holds('C21');
create view pg_catalog.svv_all_tables as
  select t.table_catalog::varchar(128) as database_name, t.table_schema::varchar(128) as schema_name,
    t.table_name::varchar(128), c.relacl::text::varchar(128) as table_acl,
    (case t.table_type when 'VIEW' then 'VIEW' else 'TABLE' end)::varchar(128) as table_type,
    t.remarks::varchar(128)
  from pg_catalog.svv_tables t
  join pg_catalog.pg_namespace n on n.nspname = t.table_schema
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.table_name
  where pg_standin.holds('C21');
create view pg_catalog.svv_all_schemas as
  select pg_catalog.current_database()::varchar(128) as database_name,
    n.nspname::varchar(128) as schema_name, n.nspowner::int as schema_owner,
    'local'::varchar(128) as schema_type, n.nspacl::text::varchar(128) as schema_acl,
    null::varchar(128) as source_database, null::varchar(128) as schema_option
  from pg_catalog.pg_namespace n where n.nspname !~ '^pg_(toast|temp|standin)'
    and pg_standin.holds('C21');
create view pg_catalog.svv_redshift_columns as
  select a.database_name, a.schema_name, a.table_name, a.column_name, a.ordinal_position,
    a.data_type, a.column_default, a.is_nullable, d.encoding::varchar(128), d.distkey, d.sortkey,
    null::varchar(128) as column_acl, a.remarks
  from pg_catalog.svv_all_columns a
  left join pg_catalog.pg_table_def d on d.schemaname = a.schema_name
    and d.tablename = a.table_name and d."column" = a.column_name;
create view pg_catalog.svv_redshift_tables as
  select database_name, schema_name, table_name, table_type, table_acl, remarks
  from pg_catalog.svv_all_tables;
create view pg_catalog.svv_redshift_schemas as
  select database_name, schema_name, schema_owner, schema_type, schema_acl, schema_option
  from pg_catalog.svv_all_schemas;
create view pg_catalog.svv_redshift_databases as
  select d.datname::varchar(128) as database_name, d.datdba::int as database_owner,
    'local'::varchar(32) as database_type, d.datacl::text::varchar(128) as database_acl,
    null::varchar(128) as database_options, 'Snapshot Isolation'::varchar(128) as database_isolation_level
  from pg_catalog.pg_database d where d.datname = pg_catalog.current_database();

-- No external schema and no late-binding view can be made here, so these are empty and right.
create view pg_catalog.svv_external_schemas as
  select 0::oid as esoid, 0::smallint as eskind, ''::name as schemaname, 0 as esowner,
    ''::text as databasename, ''::text as esoptions where false;
create view pg_catalog.svv_external_tables as
  select ''::text as redshift_database_name, ''::text as schemaname, ''::text as tablename,
    ''::text as tabletype, ''::text as location, ''::text as input_format, ''::text as output_format,
    ''::text as serialization_lib, ''::text as serde_parameters, 0 as compressed,
    ''::text as parameters where false;
create view pg_catalog.svv_external_columns as
  select ''::text as redshift_database_name, ''::text as schemaname, ''::text as tablename,
    ''::text as columnname, ''::text as external_type, 0 as columnnum, 0 as part_key,
    ''::text as is_nullable where false;
create function pg_catalog.pg_get_late_binding_view_cols() returns setof record
language sql stable rows 1 as $$ select ''::name, ''::name, ''::name, ''::varchar, 0 where false $$;
