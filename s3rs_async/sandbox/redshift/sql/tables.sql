-- What CREATE TABLE calls: a table's facts, its checks in bytes, the keys that nobody enforces.

-- A rule's refusal; true when the rule is off, so that a check can end with it.
create function pg_standin.refuse(rule text, state text, said text, more text default null) returns boolean
language plpgsql as $$
begin
  if not pg_standin.holds(rule) then
    return true;
  elsif more is null then
    raise exception using errcode = state, message = said;
  end if;
  raise exception using errcode = state, message = said, detail = more;
end $$;

-- Checks that count bytes; each is asked only when a value does not fit.
create function pg_standin.too_long(value text, size int) returns boolean language plpgsql as $$
begin
  if not pg_standin.holds('D4c') and octet_length(rtrim(value, ' ')) <= size then
    return true;
  end if;
  return pg_standin.refuse('D4', '22001', format('value too long for type character varying(%s)', size));
end $$;

create function pg_standin.wide_character(value text) returns boolean language plpgsql as $$
declare
  bytes text := encode(convert_to(substring(value from '[^[:ascii:]]'), 'UTF8'), 'hex');
begin
  return pg_standin.refuse('D4a', 'XX000', 'Invalid characters:', concat_ws(chr(10), '',
    '  -----------------------------------------------',
    '  error:  Invalid characters:',
    '  code:      8001',
    '  context:   Only ASCII characters are allowed in fixed length strings. Invalid ASCII char: '
      || regexp_replace(bytes, '(..)', chr(92) || '1 ', 'g'),
    '  query:     0',
    '  location:  exec_plan.cpp:2972',
    format('  process:   query0 [pid=%s]', pg_backend_pid()),
    '  -----------------------------------------------', ''));
end $$;

-- Facts. What is recorded for a table is merged with what was; encodings that are null are dropped.
create function pg_standin.record(t oid, new jsonb) returns void
language plpgsql security definer as $$
declare
  old jsonb := coalesce((select f.facts from pg_standin.facts f where f.relation = t), '{}');
begin
  if not pg_standin.holds('D2c') then
    new := new - array['diststyle', 'distkey', 'sortstyle', 'sortkey', 'encode'];
  end if;
  new := old || new || jsonb_build_object(
    'encode', case when new->'encode' = 'null' then '{}'
      else coalesce(old->'encode', '{}') || coalesce(new->'encode', '{}') end,
    'octets', coalesce(old->'octets', '{}') || coalesce(new->'octets', '{}'));
  if new = old then
    return;  -- writing it again could only lose a race
  end if;
  insert into pg_standin.facts values (t, new)
  on conflict (relation) do update set facts = excluded.facts;
end $$;

create function pg_standin.fact(t oid, name text) returns jsonb language sql stable as $$
  select f.facts->name from pg_standin.facts f where f.relation = t
$$;

create function pg_standin.octets(t oid, name name) returns int language sql stable as $$
  select coalesce((pg_standin.fact(t, 'octets')->>name::text)::int, 0)
$$;

create function pg_standin.forget(t oid) returns void language sql security definer as $$
  delete from pg_standin.facts where relation = t
$$;

create function pg_standin.forget_dropped() returns event_trigger
language plpgsql security definer as $$
begin
  delete from pg_standin.facts where relation in (
    select objid from pg_event_trigger_dropped_objects()
    where classid = 'pg_catalog.pg_class'::regclass and objsubid = 0);
end $$;
create event trigger pg_standin_dropped on sql_drop execute function pg_standin.forget_dropped();

-- Which types an encoding is for; null: every one.
create table pg_standin.encodings (encoding text primary key, kinds text[]);
insert into pg_standin.encodings values
  ('raw', null), ('zstd', null), ('auto', null),
  ('az64', '{int2,int4,int8,numeric,date,time,timetz,timestamp,timestamptz}'),
  ('bytedict', '{int2,int4,int8,numeric,float4,float8,bpchar,varchar,date,timestamp,timestamptz}'),
  ('delta', '{int2,int4,int8,numeric,date,timestamp}'),
  ('delta32k', '{int4,int8,numeric,date,timestamp}'),
  ('lzo', '{int2,int4,int8,numeric,bpchar,varchar,date,time,timetz,timestamp,timestamptz,jsonb,bytea}'),
  ('mostly8', '{int2,int4,int8,numeric}'),
  ('mostly16', '{int4,int8,numeric}'),
  ('mostly32', '{int8,numeric}'),
  ('runlength', '{int2,int4,int8,numeric,float4,float8,bool,bpchar,varchar,date,timestamp,timestamptz}'),
  ('text255', '{varchar}'), ('text32k', '{varchar}');

create function pg_standin.kind_of(t oid, col text) returns text language sql stable as $$
  select y.typname::text from pg_attribute a join pg_type y on y.oid = a.atttypid
  where a.attrelid = t and a.attname = col and a.attnum > 0 and not a.attisdropped
$$;

create function pg_standin.check_attributes(t regclass, facts jsonb) returns void language plpgsql as $$
declare
  item record;
  bare text := (select relname from pg_class where oid = t);
begin
  for item in
    select name from (select facts->>'distkey' as name
      union all select jsonb_array_elements_text(facts->'sortkey')) as named where name is not null
  loop
    if pg_standin.kind_of(t, item.name) is null then
      perform pg_standin.refuse('D2a', '0A000',
        format('column "%s" specified as distkey/sortkey is not in the table "%s"', item.name, bare));
    elsif pg_standin.kind_of(t, item.name) = 'jsonb' then
      perform pg_standin.refuse('D2d', '0A000',
        format('column "%s" of type SUPER cannot be a distkey or sortkey', item.name));
    end if;
  end loop;
  for item in
    select c.key as name, pg_standin.kind_of(t, c.key) as kind, e.kinds
    from jsonb_each_text(nullif(facts->'encode', 'null')) c
    join pg_standin.encodings e on e.encoding = c.value
  loop
    if item.kind is null then
      raise exception using errcode = '42703',
        message = format('column "%s" of relation "%s" does not exist', item.name, bare);
    elsif not item.kind = any (item.kinds) then
      perform pg_standin.refuse('D2b', '42804',
        format('invalid encoding type specified for column "%s"', item.name));
    end if;
  end loop;
end $$;

-- Record facts of a table that is there, and bring its checks up to date.
create function pg_standin.dress(t regclass, facts jsonb) returns void language plpgsql as $$
declare
  item record;
  check_name text;
  changes text[] := '{}';
begin
  perform pg_standin.check_attributes(t, facts);
  perform pg_standin.record(t, facts);
  for item in
    select a.attname, a.attnum, y.typname, c.conname,
      case when y.typname = 'bytea' then pg_standin.octets(t, a.attname)
           when a.atttypmod > 4 then a.atttypmod - 4 end as size
    from pg_attribute a join pg_type y on y.oid = a.atttypid
    left join pg_constraint c on c.conrelid = t and c.contype = 'c'
      and c.conname ~ ('^rs_octets_[0-9]+_' || a.attnum || '$')
    where a.attrelid = t and a.attnum > 0 and not a.attisdropped
      and y.typname in ('varchar', 'bpchar', 'bytea')
  loop
    check_name := format('rs_octets_%s_%s', item.size, item.attnum);
    continue when coalesce(item.size, 0) = 0 or item.conname = check_name;
    if item.conname is not null then
      changes := changes || format('drop constraint %I', item.conname);
    end if;
    changes := changes || format('add constraint %I check (%s)', check_name,
      format(case item.typname
        when 'varchar' then 'case when octet_length(%1$I) > %2$s then pg_standin.too_long(%1$I, %2$s) end'
        when 'bpchar' then 'case when octet_length(%1$I::text) > char_length(%1$I::text) then pg_standin.wide_character(%1$I::text) end'
        else 'case when octet_length(%1$I) > %2$s then pg_standin.refuse(''D4b'', ''22001'', ''value too long for type binary varying(%2$s)'') end'
        end, item.attname, item.size));
  end loop;
  if changes <> '{}' then
    execute format('alter table %s %s', t, array_to_string(changes, ', '));
  end if;
end $$;

-- Keys: recorded, and enforced only where rule D3 is off.
create function pg_standin.check_columns(t regclass, names jsonb) returns void language plpgsql as $$
declare
  col text;
begin
  for col in select jsonb_array_elements_text(names) loop
    if pg_standin.kind_of(t, col) is null then
      raise exception using errcode = '42703', message = format('column "%s" named in key does not exist', col);
    end if;
  end loop;
end $$;

create function pg_standin.check_target(key jsonb) returns void language plpgsql as $$
declare
  target regclass := (key->>'target')::regclass;
  bare text := (select relname from pg_class where oid = target);
begin
  perform pg_standin.check_columns(target, key->'target_columns');
  if jsonb_array_length(key->'target_columns') = 0 then
    if not coalesce(pg_standin.fact(target, 'keys') @> '[{"kind": "PRIMARY KEY"}]', false) then
      perform pg_standin.refuse('D3a', '42704', format('there is no primary key for referenced table "%s"', bare));
    end if;
  elsif not exists (
      select from jsonb_array_elements(pg_standin.fact(target, 'keys')) k
      where k->>'kind' <> 'FOREIGN KEY' and k->'columns' @> (key->'target_columns')
        and k->'columns' <@ (key->'target_columns')) then
    perform pg_standin.refuse('D3a', '42830',
      format('there is no unique constraint matching given keys for referenced table "%s"', bare));
  end if;
end $$;

create function pg_standin.add_key(t regclass, key jsonb) returns void language plpgsql as $$
declare
  keys jsonb := coalesce(pg_standin.fact(t, 'keys'), '[]');
  bare text := (select relname from pg_class where oid = t);
begin
  perform pg_standin.check_columns(t, key->'columns');
  if key->>'kind' = 'PRIMARY KEY' then
    if keys @> '[{"kind": "PRIMARY KEY"}]' then
      perform pg_standin.refuse('D3b', '42P16', format('multiple primary keys for table "%s" are not allowed', bare));
    elsif exists (select from pg_attribute where attrelid = t and not attnotnull
        and key->'columns' ? attname::text) then
      perform pg_standin.refuse('L7a', '0A000',
        format('cannot add a primary key to table "%s": a column of it may be null', bare));
    end if;
  elsif key->>'kind' = 'FOREIGN KEY' then
    perform pg_standin.check_target(key);
  end if;
  perform pg_standin.record(t, jsonb_build_object('keys', keys || jsonb_build_array(key - 'sql')));
  if not pg_standin.holds('D3') then
    execute format('alter table %s add %s', t, key->>'sql');
  end if;
end $$;

-- What a query made: texts get a length, types that Redshift lacks are refused.
create function pg_standin.settle(t regclass) returns void language plpgsql as $$
declare
  item record;
begin
  for item in
    select a.attname, y.typname, a.atttypmod, format_type(y.oid, null) as shown from pg_attribute a join pg_type y on y.oid = a.atttypid
    where a.attrelid = t and a.attnum > 0 and not a.attisdropped
  loop
    if item.typname in ('text', 'name') or (item.typname = 'varchar' and item.atttypmod < 0) then
      if pg_standin.holds('D9a') then
        execute format('alter table %s alter column %I type varchar(65535)', t, item.attname);
      end if;
    elsif item.typname not in ('int2', 'int4', 'int8', 'numeric', 'float4', 'float8', 'bool', 'bpchar',
        'varchar', 'date', 'time', 'timetz', 'timestamp', 'timestamptz', 'jsonb', 'bytea') then
      perform pg_standin.refuse('D9b', '0A000', format('Column "%s.%s" has unsupported type "%s".',
        (select relname from pg_class where oid = t), item.attname, item.shown));
    end if;
  end loop;
end $$;

-- The table of a name, as the search path finds it, but not this one (a temporary table shadows).
create function pg_standin.other(parts jsonb, this oid) returns oid language sql stable as $$
  select c.oid
  from unnest(case when jsonb_array_length(parts) > 1 then array[(parts->>-2)::name]
    else current_schemas(true) end) with ordinality as path(schema, at)
  join pg_namespace n on n.nspname = path.schema
  join pg_class c on c.relnamespace = n.oid and c.relname = parts->>-1 and c.oid <> this
  order by path.at limit 1
$$;

-- Where CREATE TABLE has just put a table of this name.
create function pg_standin.made(parts jsonb, temporary boolean) returns regclass language sql stable as $$
  select c.oid::regclass from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relname = parts->>-1 and case when temporary then n.oid = pg_my_temp_schema()
    else n.nspname = coalesce((parts->>-2)::name, current_schema()) end
$$;

create function pg_standin.inherited(source oid) returns jsonb language sql stable as $$
  select coalesce(jsonb_object_agg(key, value), '{}') from pg_standin.facts f, jsonb_each(f.facts)
  where f.relation = source and (key = 'octets' or pg_standin.holds('D6')
    and key in ('diststyle', 'distkey', 'sortstyle', 'sortkey', 'encode'))
$$;

-- Record a new table's facts, whatever was known of its number before.
create function pg_standin.created(parts jsonb, temporary boolean, facts jsonb, likes jsonb) returns void
language plpgsql as $$
declare
  t regclass := pg_standin.made(parts, temporary);
  item jsonb;
begin
  perform pg_standin.forget(t);
  for item in select jsonb_array_elements(likes) loop
    perform pg_standin.record(t, pg_standin.inherited(pg_standin.other(item, t)));
  end loop;
  if (facts->>'query')::boolean then
    perform pg_standin.settle(t);
  end if;
  perform pg_standin.dress(t, facts - 'keys' - 'query');
  for item in select jsonb_array_elements(facts->'keys') loop
    perform pg_standin.add_key(t, item);
  end loop;
end $$;
