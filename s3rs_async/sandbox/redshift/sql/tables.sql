-- What DDL calls: a table's facts, its checks in bytes, changes that the backend makes otherwise.
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
