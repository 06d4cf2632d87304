-- Functions that Redshift has and PostgreSQL lacks, or has with another result.
-- In pg_catalog stand those that defaults of columns and drivers name; the others stand in pg_standin,
-- and a statement's calls are sent there by name (functions.py), each only while its rule is in force.
create function pg_catalog.pg_last_copy_count() returns bigint language sql volatile as $$
  select coalesce(nullif(current_setting('rs.last_copy_count', true), ''), '0')::bigint
$$;
create function pg_catalog.pg_last_copy_id() returns int language sql volatile as $$
  select coalesce(nullif(current_setting('rs.last_copy_id', true), ''), '-1')::int
$$;
create function pg_catalog.getdate() returns timestamp language sql stable as $$
  select case when pg_standin.holds('F1')
    then date_trunc('second', statement_timestamp() at time zone 'UTC')
    else clock_timestamp() at time zone 'UTC' end
$$;
create function pg_catalog.sysdate() returns timestamp language sql stable as $$
  select transaction_timestamp() at time zone 'UTC'
$$;
create or replace function pg_catalog.version() returns text language sql stable as $$
  select case when pg_standin.holds('F15')
    then 'PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017 (Red Hat 3.4.2-6.fc3), Redshift 1.0.122914'
    else 'PostgreSQL ' || current_setting('server_version') end
$$;

-- JSON. A SUPER is a jsonb here: the order of an object's keys and equal keys are not kept.
create function pg_standin.is_json(value text) returns boolean language sql immutable as $$
  select value is json
$$;
create function pg_standin.json_error(value text) returns text language plpgsql immutable as $$
begin
  raise exception using errcode = 'XX000', message = 'JSON parsing error',
    detail = 'invalid json: ' || left(value, 100);
end $$;
create function pg_catalog.json_parse(text) returns jsonb language plpgsql immutable strict as $$
begin
  if pg_standin.holds('F11') and not pg_standin.is_json($1) then
    perform pg_standin.json_error($1);
  end if;
  return $1::jsonb;
end $$;
create function pg_standin.compact(value jsonb) returns text language sql immutable as $$
  select case jsonb_typeof(value)
    when 'object' then '{' || coalesce((select string_agg(to_json(key)::text || ':' || pg_standin.compact(item), ',')
      from jsonb_each(value) as each(key, item)), '') || '}'
    when 'array' then '[' || coalesce((select string_agg(pg_standin.compact(item), ',' order by at)
      from jsonb_array_elements(value) with ordinality as each(item, at)), '') || ']'
    else value::text end
$$;
create function pg_catalog.json_serialize(jsonb) returns varchar language sql immutable strict as $$
  select case when pg_standin.holds('F11') then pg_standin.compact($1) else $1::text end::varchar
$$;
create function pg_standin.can_json_parse(text) returns boolean language sql immutable strict as $$
  select pg_standin.is_json($1)
$$;
create function pg_standin.is_valid_json(text) returns boolean language sql immutable strict as $$
  select $1 is json object
$$;
create function pg_standin.is_valid_json_array(text) returns boolean language sql immutable strict as $$
  select $1 is json array
$$;
create function pg_standin.json_of(value text, lenient boolean) returns json language plpgsql immutable as $$
begin
  if pg_standin.is_json(value) then
    return value::json;
  elsif not lenient then
    perform pg_standin.json_error(value);
  end if;
  return null;
end $$;
create function pg_standin.json_at(value text, path text[], lenient boolean) returns varchar language sql immutable as $$
  select case when j is not null then coalesce(j #>> path, '') end::varchar from pg_standin.json_of(value, lenient) as j
$$;
do $$
declare
  names text := '';
begin
  for size in 1..5 loop
    names := names || ', text';
    execute format('create function pg_standin.json_extract_path_text(text%s) returns varchar language sql immutable strict
      as ''select pg_standin.json_at($1, array[%s], false)''', names,
      (select string_agg('$' || at, ', ') from generate_series(2, size + 1) as at));
    execute format('create function pg_standin.json_extract_path_text(text%s, boolean) returns varchar language sql immutable strict
      as ''select pg_standin.json_at($1, array[%s], $%s)''', names,
      (select string_agg('$' || at, ', ') from generate_series(2, size + 1) as at), size + 2);
  end loop;
end $$;
create function pg_standin.json_extract_array_element_text(value text, at int, lenient boolean default false)
returns varchar language sql immutable strict as $$
  select case when j is not null then coalesce(case when at >= 0 then j ->> at end, '') end::varchar
  from pg_standin.json_of(value, lenient) as j
$$;
create function pg_standin.json_array_length(value text, lenient boolean default false) returns int
language plpgsql immutable strict as $$
begin
  if value is json array then
    return json_array_length(value::json);
  elsif not lenient then
    perform pg_standin.json_error(value);
  end if;
  return null;
end $$;

-- Strings.
create function pg_standin.len(text) returns int language sql immutable strict as $$
  select char_length($1)
$$;
create function pg_standin.textlen(text) returns int language sql immutable strict as $$
  select char_length($1)
$$;
create function pg_standin.upper(text) returns text language sql immutable strict as $$
  select pg_catalog.upper($1 collate pg_c_utf8)
$$;
create function pg_standin.lower(text) returns text language sql immutable strict as $$
  select pg_catalog.lower($1 collate pg_c_utf8)
$$;
create function pg_standin.initcap(text) returns text language sql immutable strict as $$
  select pg_catalog.initcap($1 collate pg_c_utf8)
$$;
create function pg_standin.charindex(part text, whole text) returns int language sql immutable strict as $$
  select strpos(whole, part)
$$;
create function pg_standin.octetindex(part text, whole text) returns int language sql immutable strict as $$
  select case strpos(whole, part) when 0 then 0
    else octet_length(left(whole, strpos(whole, part) - 1)) + 1 end
$$;
create function pg_standin.replicate(text, int) returns varchar language sql immutable strict as $$
  select repeat($1, $2)::varchar
$$;
create function pg_standin.listed(value text) returns varchar language plpgsql immutable as $$
begin
  if octet_length(value) > 65535 then
    raise exception using errcode = 'XX000', message = 'Result size exceeds LISTAGG limit';
  end if;
  return value;
end $$;

-- Dates. A date part is known by all its names.
create function pg_standin.part(name text) returns text language plpgsql immutable as $$
declare
  found text := case
    when lower(name) in ('millennium', 'millennia', 'mil', 'mils') then 'millennium'
    when lower(name) in ('century', 'centuries', 'c', 'cent', 'cents') then 'century'
    when lower(name) in ('decade', 'decades', 'dec', 'decs') then 'decade'
    when lower(name) in ('year', 'years', 'y', 'yr', 'yrs') then 'year'
    when lower(name) in ('quarter', 'quarters', 'qtr', 'qtrs') then 'quarter'
    when lower(name) in ('month', 'months', 'mon', 'mons') then 'month'
    when lower(name) in ('week', 'weeks', 'w') then 'week'
    when lower(name) in ('day', 'days', 'd') then 'day'
    when lower(name) in ('hour', 'hours', 'h', 'hr', 'hrs') then 'hour'
    when lower(name) in ('minute', 'minutes', 'm', 'min', 'mins') then 'minute'
    when lower(name) in ('second', 'seconds', 's', 'sec', 'secs') then 'second'
    when lower(name) in ('millisecond', 'milliseconds', 'ms', 'msec', 'msecs', 'msecond', 'mseconds', 'millisec', 'millisecs', 'millisecon') then 'millisecond'
    when lower(name) in ('microsecond', 'microseconds', 'us', 'usec', 'usecs', 'usecond', 'useconds', 'microsec', 'microsecs', 'microsecond') then 'microsecond'
  end;
begin
  if found is null then
    raise exception using errcode = '22023', message = format('invalid date part "%s"', name);
  end if;
  return found;
end $$;
create function pg_standin.step(part text, n bigint) returns interval language sql immutable as $$
  select n * case p when 'quarter' then interval '3 months' when 'millennium' then interval '1000 years'
    when 'century' then interval '100 years' when 'decade' then interval '10 years'
    else ('1 ' || p)::interval end
  from pg_standin.part(part) as p
$$;
create function pg_standin.dateadd(text, bigint, timestamp) returns timestamp language sql immutable strict as $$
  select $3 + pg_standin.step($1, $2)
$$;
create function pg_standin.dateadd(text, bigint, date) returns timestamp language sql immutable strict as $$
  select $3::timestamp + pg_standin.step($1, $2)
$$;
create function pg_standin.dateadd(text, bigint, timestamptz) returns timestamptz language sql stable strict as $$
  select $3 + pg_standin.step($1, $2)
$$;
create function pg_standin.dateadd(text, bigint, time) returns time language sql immutable strict as $$
  select $3 + pg_standin.step($1, $2)
$$;
create function pg_standin.months(timestamp) returns bigint language sql immutable strict as $$
  select (extract(year from $1) * 12 + extract(month from $1) - 1)::bigint
$$;
create function pg_standin.micros(timestamp) returns numeric language sql immutable strict as $$
  select extract(epoch from $1) * 1000000
$$;
create function pg_standin.datediff(part text, a timestamp, b timestamp) returns bigint language sql immutable strict as $$
  select case p
    when 'millennium' then floor((extract(year from b) - 1) / 1000) - floor((extract(year from a) - 1) / 1000)
    when 'century' then floor((extract(year from b) - 1) / 100) - floor((extract(year from a) - 1) / 100)
    when 'decade' then floor(extract(year from b) / 10) - floor(extract(year from a) / 10)
    when 'year' then extract(year from b) - extract(year from a)
    when 'quarter' then floor(pg_standin.months(b) / 3.0) - floor(pg_standin.months(a) / 3.0)
    when 'month' then pg_standin.months(b) - pg_standin.months(a)
    when 'week' then case when pg_standin.holds('F5a')
      then (date_trunc('week', b)::date - date_trunc('week', a)::date) / 7
      else (date_trunc('week', b + interval '1 day')::date - date_trunc('week', a + interval '1 day')::date) / 7 end
    when 'day' then b::date - a::date
    else floor(pg_standin.micros(b) / size) - floor(pg_standin.micros(a) / size)
  end::bigint
  from pg_standin.part(part) as p, lateral (select case p when 'hour' then 3600000000
    when 'minute' then 60000000 when 'second' then 1000000 when 'millisecond' then 1000 else 1 end::numeric) as s(size)
$$;
create function pg_standin.datediff(text, date, date) returns bigint language sql immutable strict as $$
  select pg_standin.datediff($1, $2::timestamp, $3::timestamp)
$$;
create function pg_standin.datediff(text, timestamptz, timestamptz) returns bigint language sql stable strict as $$
  select pg_standin.datediff($1, $2 at time zone 'UTC', $3 at time zone 'UTC')
$$;
create function pg_standin.datediff(text, time, time) returns bigint language sql immutable strict as $$
  select pg_standin.datediff($1, date '2000-01-01' + $2, date '2000-01-01' + $3)
$$;
create function pg_standin.last_day(timestamp) returns date language sql immutable strict as $$
  select (date_trunc('month', $1) + interval '1 month - 1 day')::date
$$;
create function pg_standin.add_months(timestamp, int) returns timestamp language sql immutable strict as $$
  select case when $1::date = pg_standin.last_day($1)
    then pg_standin.last_day($1 + make_interval(months => $2)) + $1::time
    else $1 + make_interval(months => $2) end
$$;
create function pg_standin.months_between(timestamp, timestamp) returns float8 language sql immutable strict as $$
  select (case when extract(day from $1) = extract(day from $2)
      or ($1::date = pg_standin.last_day($1) and $2::date = pg_standin.last_day($2))
    then (pg_standin.months($1) - pg_standin.months($2))::numeric
    else pg_standin.months($1) - pg_standin.months($2) + (extract(day from $1) - extract(day from $2)
      + (extract(epoch from $1::time) - extract(epoch from $2::time)) / 86400) / 31 end)::float8
$$;
create function pg_standin.next_day(timestamp, text) returns date language plpgsql immutable strict as $$
declare
  wanted int := case
    when lower($2) in ('su', 'sun', 'sunday') then 0 when lower($2) in ('m', 'mo', 'mon', 'monday') then 1
    when lower($2) in ('tu', 'tues', 'tue', 'tuesday') then 2
    when lower($2) in ('w', 'we', 'wed', 'wednesday') then 3
    when lower($2) in ('th', 'thu', 'thurs', 'thursday') then 4
    when lower($2) in ('f', 'fr', 'fri', 'friday') then 5 when lower($2) in ('sa', 'sat', 'saturday') then 6 end;
begin
  if wanted is null then
    raise exception using errcode = '22023', message = format('invalid day name "%s"', $2);
  end if;
  return $1::date + ((wanted - extract(dow from $1)::int + 6) % 7 + 1);
end $$;
create function pg_standin.date_trunc(text, date) returns timestamp language sql immutable strict as $$
  select pg_catalog.date_trunc(pg_standin.part($1), $2::timestamp)
$$;
create function pg_standin.date_trunc(text, timestamp) returns timestamp language sql immutable strict as $$
  select pg_catalog.date_trunc(pg_standin.part($1), $2)
$$;
create function pg_standin.date_trunc(text, timestamptz) returns timestamptz language sql stable strict as $$
  select pg_catalog.date_trunc(pg_standin.part($1), $2)
$$;
create function pg_standin.trunc(timestamp) returns date language sql immutable strict as $$
  select $1::date
$$;
create function pg_standin.trunc(numeric) returns numeric language sql immutable strict as $$
  select pg_catalog.trunc($1)
$$;
create function pg_standin.trunc(float8) returns float8 language sql immutable strict as $$
  select pg_catalog.trunc($1)
$$;
create function pg_standin.trunc(numeric, int) returns numeric language sql immutable strict as $$
  select pg_catalog.trunc($1, $2)
$$;
create function pg_standin.date_part_year(date) returns int language sql immutable strict as $$
  select extract(year from $1)::int
$$;
create function pg_standin.convert_timezone(source text, target text, moment timestamp) returns timestamp
language sql stable strict as $$
  select moment at time zone source at time zone target
$$;
create function pg_standin.convert_timezone(target text, moment timestamp) returns timestamp
language sql stable strict as $$
  select moment at time zone 'UTC' at time zone target
$$;
create function pg_standin.convert_timezone(target text, moment timestamptz) returns timestamp
language sql stable strict as $$
  select moment at time zone target
$$;

-- Hashes and numbers.
create function pg_standin.sha2(value text, bits int) returns varchar language sql immutable strict as $$
  select case bits when 224 then encode(sha224(b), 'hex') when 0 then encode(sha256(b), 'hex')
    when 256 then encode(sha256(b), 'hex') when 384 then encode(sha384(b), 'hex')
    when 512 then encode(sha512(b), 'hex') else '' end::varchar
  from convert_to(value, 'UTF8') as b
$$;
create function pg_standin.crc32(value text) returns varchar language sql immutable strict as $$
  select lpad(to_hex(crc32c(convert_to(value, 'UTF8'))), 8, '0')::varchar
$$;
create function pg_standin.fnv(bytes bytea, seed bigint) returns bigint language plpgsql immutable as $$
declare
  hash numeric := case when seed < 0 then seed + 18446744073709551616 else seed end;
  low int;
begin
  for at in 0..octet_length(bytes) - 1 loop
    low := (hash % 256)::int;
    hash := (hash - low + (low # get_byte(bytes, at))) * 1099511628211 % 18446744073709551616;
  end loop;
  return case when hash >= 9223372036854775808 then hash - 18446744073709551616 else hash end;
end $$;
create function pg_standin.little(bytes bytea) returns bytea language sql immutable as $$
  select string_agg(substr(bytes, at, 1), '' order by at desc) from generate_series(1, octet_length(bytes)) as at
$$;
create function pg_standin.fnv_hash(text, bigint default -3750763034362895579) returns bigint language sql immutable strict as $$
  select pg_standin.fnv(convert_to($1, 'UTF8'), $2)
$$;
create function pg_standin.fnv_hash(smallint, bigint default -3750763034362895579) returns bigint language sql immutable strict as $$
  select pg_standin.fnv(pg_standin.little(int2send($1)), $2)
$$;
create function pg_standin.fnv_hash(int, bigint default -3750763034362895579) returns bigint language sql immutable strict as $$
  select pg_standin.fnv(pg_standin.little(int4send($1)), $2)
$$;
create function pg_standin.fnv_hash(bigint, bigint default -3750763034362895579) returns bigint language sql immutable strict as $$
  select pg_standin.fnv(pg_standin.little(int8send($1)), $2)
$$;
create function pg_standin.from_hex(text) returns bytea language sql immutable strict as $$
  select decode($1, 'hex')
$$;
create function pg_catalog.to_hex(bytea) returns text language sql immutable strict as $$
  select encode($1, 'hex')
$$;
create function pg_standin.strtol(value text, base int) returns bigint language plpgsql immutable strict as $$
declare
  rest text := lower(ltrim(value, E' \t\n\r\f' || chr(11)));
  minus boolean := rest like '-%';
  found numeric := 0;
  digit int;
begin
  if base < 2 or base > 36 then
    raise exception using errcode = '22023', message = format('The base for strtol must be between 2 and 36, not %s', base);
  end if;
  rest := regexp_replace(rest, '^[+-]', '');
  if base = 16 then
    rest := regexp_replace(rest, '^0x', '');
  end if;
  for at in 1..length(rest) loop
    digit := strpos('0123456789abcdefghijklmnopqrstuvwxyz', substr(rest, at, 1)) - 1;
    if digit < 0 or digit >= base then
      raise exception using errcode = '22023',
        message = format('The input %s is not valid to be converted to base %s', value, base);
    end if;
    found := found * base + digit;
  end loop;
  found := case when minus then -found else found end;
  if found not between -9223372036854775808 and 9223372036854775807 then
    raise exception using errcode = '22003',
      message = format('The input %s is outside of the range of BIGINT', value);
  end if;
  return found;
end $$;
create function pg_standin.mean(numeric[]) returns bigint language sql immutable as $$
  select trunc($1[1] / nullif($1[2], 0))::bigint
$$;
do $$
declare
  kind text;
begin
  foreach kind in array array['smallint', 'int', 'bigint'] loop
    execute format('create function pg_standin.added(numeric[], %s) returns numeric[] language sql immutable as %L', kind,
      'select case when $2 is null then $1 else array[$1[1] + $2, $1[2] + 1] end');
    execute format('create aggregate pg_standin.avg(%s) (sfunc = pg_standin.added, stype = numeric[], initcond = %L,'
      ' finalfunc = pg_standin.mean)', kind, '{0,0}');
  end loop;
end $$;
create aggregate pg_standin.avg(float8) (sfunc = float8_accum, stype = float8[], initcond = '{0,0,0}', finalfunc = float8_avg);
create aggregate pg_standin.avg(numeric) (sfunc = numeric_avg_accum, stype = internal, finalfunc = numeric_avg);

-- MERGE.
create function pg_standin.merges_from(source text) returns boolean language plpgsql immutable as $$
begin
  if pg_standin.holds('M3') and exists (
      select from pg_class where oid = to_regclass(source) and relkind in ('v', 'm')) then
    raise exception using errcode = '0A000', message = 'MERGE source must be a table';
  end if;
  return true;
end $$;
create function pg_standin.merges_alike(target text, source text) returns void language plpgsql as $$
declare
  differ boolean;
begin
  perform pg_standin.merges_from(source);
  select count(*) <> count(*) filter (where a.t = b.t) into differ from
    (select row_number() over (order by attnum) as at, atttypid as t from pg_attribute
     where attrelid = target::regclass and attnum > 0 and not attisdropped) as a
    full join (select row_number() over (order by attnum) as at, atttypid as t from pg_attribute
     where attrelid = source::regclass and attnum > 0 and not attisdropped) as b using (at);
  if differ and pg_standin.holds('M5b') then
    raise exception using errcode = '42601',
      message = 'MERGE REMOVE DUPLICATES needs a source and a target with the same columns';
  end if;
end $$;
create function pg_standin.merges_once(twice boolean) returns void language plpgsql as $$
begin
  if twice and pg_standin.holds('M5a') then
    raise exception using errcode = '21000', message = 'Found multiple matches to update the same tuple';
  end if;
end $$;
