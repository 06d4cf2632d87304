-- What ALTER TABLE calls: changes that Redshift limits by what the table is, has or was told.

create function pg_standin.check_column(t regclass, col text) returns void language plpgsql as $$
begin
  if pg_standin.kind_of(t, col) is null then
    raise exception using errcode = '42703', message = format('column "%s" of relation "%s" does not exist',
      col, (select relname from pg_class where oid = t));
  end if;
end $$;

-- A column's name and what is known of it.
create function pg_standin.renamed(t regclass, old text, new text) returns void language plpgsql as $$
declare
  known jsonb := coalesce((select f.facts from pg_standin.facts f where f.relation = t), '{}');
  keys jsonb;
begin
  if known->>'distkey' = old then
    known := known || jsonb_build_object('distkey', new);
  end if;
  known := known || jsonb_build_object(
    'sortkey', (select coalesce(jsonb_agg(case when name = old then new else name end order by at), '[]')
      from jsonb_array_elements_text(known->'sortkey') with ordinality as s(name, at)),
    'encode', (select coalesce(jsonb_object_agg(case when key = old then new else key end, value), '{}')
      from jsonb_each(known->'encode')),
    'octets', (select coalesce(jsonb_object_agg(case when key = old then new else key end, value), '{}')
      from jsonb_each(known->'octets')));
  select jsonb_agg(k || jsonb_build_object('columns',
      (select jsonb_agg(case when name = old then new else name end order by at)
       from jsonb_array_elements_text(k->'columns') with ordinality as c(name, at)))) into keys
  from jsonb_array_elements(known->'keys') k;
  perform pg_standin.forget(t);
  perform pg_standin.record(t, known || jsonb_build_object('keys', coalesce(keys, '[]')));
end $$;

create function pg_standin.drop_column(t regclass, col text, cascades boolean) returns void language plpgsql as $$
declare
  known jsonb := coalesce((select f.facts from pg_standin.facts f where f.relation = t), '{}');
  keys jsonb;
begin
  if known->>'distkey' = col then
    perform pg_standin.refuse('L3f', '42P16', format('cannot drop distkey column "%s"', col));
  elsif known->'sortkey' ? col then
    perform pg_standin.refuse('L3f', '42P16', format('cannot drop sortkey column "%s"', col));
  end if;
  execute format('alter table %s drop column %I%s', t, col, case when cascades then ' cascade' else '' end);
  select jsonb_agg(k) into keys from jsonb_array_elements(known->'keys') k where not k->'columns' ? col;
  perform pg_standin.forget(t);
  perform pg_standin.record(t, known || jsonb_build_object('keys', coalesce(keys, '[]'),
    'encode', coalesce(known->'encode', '{}') - col, 'octets', coalesce(known->'octets', '{}') - col));
end $$;

create function pg_standin.drop_key(t regclass, name text) returns void language plpgsql as $$
declare
  keys jsonb := coalesce(pg_standin.fact(t, 'keys'), '[]');
begin
  if not exists (select from jsonb_array_elements(keys) k where k->>'name' = name) then
    raise exception using errcode = '42704', message = format('constraint "%s" of relation "%s" does not exist',
      name, (select relname from pg_class where oid = t));
  end if;
  perform pg_standin.record(t, jsonb_build_object('keys',
    (select coalesce(jsonb_agg(k), '[]') from jsonb_array_elements(keys) k where k->>'name' <> name)));
  execute format('alter table %s drop constraint if exists %I', t, name);
end $$;

-- ALTER COLUMN TYPE: another length, nothing else.
create function pg_standin.check_resized(t regclass, col text, size int, old int) returns void
language plpgsql as $$
declare
  longest int;
begin
  if exists (select from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
      where d.adrelid = t and a.attname = col) then
    perform pg_standin.refuse('L2b', '0A000', case when size < old
      then 'cannot decrease a VARCHAR column size with default value'
      else format('cannot alter type of column "%s" with a default value', col) end);
  elsif exists (select from jsonb_array_elements(pg_standin.fact(t, 'keys')) k where k->'columns' ? col) then
    perform pg_standin.refuse('L2e', '0A000', format('cannot alter type of column "%s" with a key', col));
  elsif pg_standin.fact(t, 'encode')->>col in ('bytedict', 'runlength', 'text255', 'text32k') then
    perform pg_standin.refuse('L2f', '0A000', format('cannot alter type of column "%s" with encoding %s',
      col, upper(pg_standin.fact(t, 'encode')->>col)));
  end if;
  if size < old then
    execute format('select max(octet_length(%I)) from %s', col, t) into longest;
    if longest > size then
      perform pg_standin.refuse('L2a', '0A000',
        format('cannot decrease the length of column "%s" to %s: it holds %s bytes', col, size, longest));
    end if;
  end if;
end $$;

create function pg_standin.resize(t regclass, col text, kind text, size int) returns void language plpgsql as $$
declare
  old int;
begin
  perform pg_standin.check_column(t, col);
  if pg_standin.kind_of(t, col) <> kind then
    perform pg_standin.refuse('L2', '0A000',
      format('cannot alter type of column "%s": only VARCHAR and VARBYTE change length', col));
  end if;
  select case when kind = 'bytea' then pg_standin.octets(t, attname) else atttypmod - 4 end into old
  from pg_attribute where attrelid = t and attname = col;
  perform pg_standin.check_resized(t, col, size, old);
  if kind = 'bytea' then
    perform pg_standin.dress(t, jsonb_build_object('octets', jsonb_build_object(col, size)));
  else
    execute format('alter table %s alter column %I type varchar(%s)', t, col, size);
    perform pg_standin.dress(t, '{}');
  end if;
end $$;

-- ALTER TABLE APPEND.
create function pg_standin.columns_of(t oid) returns table (name name, kind text, required boolean,
    identity text, encoding text) language sql stable as $$
  select a.attname, format_type(a.atttypid, a.atttypmod) || pg_standin.octets(t, a.attname), a.attnotnull,
    a.attidentity::text, coalesce(pg_standin.fact(t, 'encode')->>a.attname::text, 'auto')
  from pg_attribute a where a.attrelid = t and a.attnum > 0 and not a.attisdropped
$$;

create function pg_standin.check_append(target oid, source oid) returns void language plpgsql as $$
declare
  item record;
begin
  if 't' in (select relpersistence::text from pg_class where oid in (target, source)) then
    perform pg_standin.refuse('L5b', '0A000', 'ALTER TABLE APPEND needs permanent tables');
  end if;
  if (select count(distinct (coalesce(pg_standin.fact(t, 'diststyle'), '"AUTO"'),
      coalesce(pg_standin.fact(t, 'distkey'), 'null'))) > 1 from unnest(array[target, source]) t) then
    perform pg_standin.refuse('L5e', '0A000', 'The source table and the target table have different distribution '
      'styles. Make sure both tables use the same distribution style: EVEN, ALL, or DISTKEY.');
  end if;
  if (select count(distinct (coalesce(pg_standin.fact(t, 'sortstyle'), '"AUTO"'),
      coalesce(pg_standin.fact(t, 'sortkey'), '[]'))) > 1 from unnest(array[target, source]) t) then
    perform pg_standin.refuse('L5f', '0A000', 'ALTER TABLE APPEND: the tables have different sort keys');
  end if;
  for item in
    select a.name, a.kind <> b.kind or a.required <> b.required as other_type,
      a.encoding <> b.encoding as other_encoding, 'a' in (a.identity, b.identity) as counted
    from pg_standin.columns_of(target) a join pg_standin.columns_of(source) b using (name)
  loop
    if item.counted then
      perform pg_standin.refuse('L5h', '0A000', format('ALTER TABLE APPEND cannot append identity column "%s"', item.name));
    elsif item.other_type then
      perform pg_standin.refuse('L5c', '0A000', format('ALTER TABLE APPEND: the columns "%s" differ', item.name));
    elsif item.other_encoding then
      perform pg_standin.refuse('L5g', '0A000', format('ALTER TABLE APPEND: the encodings of "%s" differ', item.name));
    end if;
  end loop;
end $$;

create function pg_standin.append(target regclass, source regclass, mode text) returns void
language plpgsql as $$
declare
  names text;
  extra name;
begin
  if source = target then
    raise exception using errcode = '0A000', message = 'ALTER TABLE APPEND: source and target are one table';
  end if;
  perform pg_standin.check_append(target, source);
  select name into extra from pg_standin.columns_of(source) where mode <> 'IGNOREEXTRA'
    and name not in (select name from pg_standin.columns_of(target));
  if extra is null then
    select name into extra from pg_standin.columns_of(target) where mode <> 'FILLTARGET'
      and name not in (select name from pg_standin.columns_of(source));
  end if;
  if extra is not null then
    perform pg_standin.refuse('L5i', '0A000', format('ALTER TABLE APPEND: only one table has the column "%s"', extra));
  end if;
  select string_agg(quote_ident(a.name), ', ') into names
  from pg_standin.columns_of(target) a join pg_standin.columns_of(source) b using (name);
  execute format('insert into %s (%s) overriding system value select %s from %s', target, names, names, source);
  execute format('truncate %s', source);
end $$;
