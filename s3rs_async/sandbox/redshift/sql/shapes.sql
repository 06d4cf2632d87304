-- The catalogue's tables as Redshift has them: PostgreSQL 8.0's columns and its own. A statement of
-- a client that names pg_class reads pg_standin.pg_class; the backend goes on with the real one.
create function pg_standin.style(facts jsonb) returns int language sql immutable as $$
  select case facts->>'diststyle' when 'EVEN' then 0 when 'KEY' then 1 when 'ALL' then 8 else 9 end
$$;
create function pg_standin.sort_place(facts jsonb, name name) returns int language sql immutable as $$
  select coalesce((
    select case when facts->>'sortstyle' = 'INTERLEAVED' and k.at % 2 = 0 then -k.at else k.at end::int
    from jsonb_array_elements_text(facts->'sortkey') with ordinality as k(name, at)
    where k.name = sort_place.name::text), 0)
$$;

-- Encodings by number, as attencodingtype has them. [A] the numbers; the words are documented.
create table pg_standin.encoding_numbers (number int primary key, word text not null);
insert into pg_standin.encoding_numbers values (0, 'none'), (1, 'bytedict'), (2, 'delta'), (3, 'delta32k'),
  (4, 'mostly8'), (5, 'mostly16'), (6, 'mostly32'), (7, 'runlength'), (8, 'text255'),
  (9, 'text32k'), (10, 'raw'), (11, 'lzo'), (12, 'zstd'), (13, 'az64');
create function pg_catalog.format_encoding(number int) returns text language sql stable as $$
  select case e.word when 'raw' then 'none' else e.word end
  from pg_standin.encoding_numbers e where e.number = $1
$$;

create view pg_standin.pg_class as
  select c.oid, c.relname, c.relnamespace, c.reltype, c.relowner, c.relam, c.relfilenode,
    c.reltablespace, c.relpages, c.reltuples, c.reltoastrelid, 0::oid as reltoastidxid,
    c.relhasindex, c.relisshared, c.relkind, c.relnatts,
    0::smallint as relchecks, 0::smallint as reltriggers, 0::smallint as relukeys,
    0::smallint as relfkeys, 0::smallint as relrefs, false as relhasoids,
    coalesce(f.facts->'keys' @> '[{"kind": "PRIMARY KEY"}]', false) as relhaspkey,
    c.relhasrules, c.relhassubclass, c.relacl,
    case when c.relkind <> 'r' then 0 when f.facts->>'diststyle' is null then 9
      else pg_standin.style(f.facts) end::smallint as reldiststyle
  from pg_catalog.pg_class c left join pg_standin.facts f on f.relation = c.oid;
create view pg_standin.pg_attribute as
  select a.attrelid, a.attname, a.atttypid, a.attstattarget::int, a.attlen, a.attnum,
    a.attndims::int, -1 as attcacheoff,
    case when a.atttypid = 17 and pg_standin.octets(a.attrelid, a.attname) > 0
      then pg_standin.octets(a.attrelid, a.attname) + 4 else a.atttypmod end as atttypmod,
    a.attbyval, a.attstorage, a.attalign, a.attnotnull, a.atthasdef or a.attidentity <> '' as atthasdef,
    a.attisdropped, a.attislocal, a.attinhcount::int,
    coalesce(f.facts->>'distkey' = a.attname::text, false) as attisdistkey,
    false as attispreloaded,
    coalesce(pg_standin.sort_place(f.facts, a.attname), 0) as attsortkeyord,
    coalesce((select e.number from pg_standin.encoding_numbers e
      where e.word = f.facts->'encode'->>a.attname::text), 0)::smallint as attencodingtype,
    0::smallint as attencrypttype
  from pg_catalog.pg_attribute a left join pg_standin.facts f on f.relation = a.attrelid;
create view pg_standin.pg_attrdef as
  select d.oid, d.adrelid, d.adnum, d.adbin, pg_catalog.pg_get_expr(d.adbin, d.adrelid) as adsrc
  from pg_catalog.pg_attrdef d
  union all
  select 0::oid, a.attrelid, a.attnum, null,
    format('"identity"(%s, %s, ''%s,%s''::text)', a.attrelid::int, a.attnum - 1, s.seqstart, s.seqincrement)
  from pg_catalog.pg_attribute a
  join pg_catalog.pg_depend p on p.refclassid = 1259 and p.refobjid = a.attrelid
    and p.refobjsubid = a.attnum and p.deptype = 'i' and p.classid = 1259
  join pg_catalog.pg_sequence s on s.seqrelid = p.objid
  where a.attidentity <> '';
create view pg_standin.pg_type as
  select t.oid, case t.oid when 3802 then 'super' when 17 then 'varbyte' else t.typname end::name as typname,
    t.typnamespace, t.typowner, t.typlen, t.typbyval, t.typtype, t.typisdefined, t.typdelim,
    t.typrelid, t.typelem, t.typinput, t.typoutput, t.typreceive, t.typsend, t.typanalyze,
    t.typalign, t.typstorage, t.typnotnull, t.typbasetype, t.typtypmod, t.typndims,
    t.typdefaultbin, t.typdefault
  from pg_catalog.pg_type t;
create view pg_standin.pg_user as
  select u.usename, u.usesysid::int as usesysid, u.usecreatedb, u.usesuper, false as usecatupd,
    u.passwd, u.valuntil, u.useconfig
  from pg_catalog.pg_user u;

-- Views of Redshift's over these. The effective style tells EVEN, KEY and ALL within AUTO apart.
create view pg_catalog.pg_class_info as
  select c.oid as reloid, c.relname, c.relnamespace, c.reltype, c.relowner, c.relam,
    c.relfilenode, c.reltablespace, c.relpages, c.reltuples, c.relkind, c.relnatts, c.relhaspkey,
    c.relacl, c.reldiststyle,
    case when c.reldiststyle = 9 then 10 else c.reldiststyle end::int as releffectivediststyle,
    null::timestamp as relcreationtime
  from pg_standin.pg_class c;
create view pg_catalog.pg_attribute_info as select * from pg_standin.pg_attribute;
create view pg_catalog.pg_user_info as
  select u.*, 0 as useconnlimit, 'UNLIMITED'::text as usesyslogaccess, 0 as sessiontimeout
  from pg_standin.pg_user u;
create view pg_catalog.pg_database_info as
  select d.oid as datid, d.datname, d.datallowconn, 'UNLIMITED'::text as datconnlimit
  from pg_catalog.pg_database d;

-- How the backend spells a type, but for those that it calls otherwise.
create function pg_standin.backend_type(oid, int) returns text
  language internal stable parallel safe as 'format_type';
create function pg_standin.type_name(kind oid, modifier int) returns text
language sql stable parallel safe as $$
  select case
    when kind = 3802 and pg_standin.holds('C18') then 'super'
    when kind = 17 and pg_standin.holds('C18') then
      'binary varying' || case when modifier > 4 then '(' || modifier - 4 || ')' else '' end
    else pg_standin.backend_type(kind, modifier) end
$$;
-- The backend finds its own function by number, unless the planner puts this body in its place: so
-- each argument is used once.
create or replace function pg_catalog.format_type(oid, int) returns text
language sql stable parallel safe as $$ select pg_standin.type_name($1, $2) $$;

-- Keys are facts of their tables; here they are constraints, with numbers of their own. Where rule
-- D3 was off the backend has the key itself.
create function pg_standin.places(t oid, names jsonb) returns smallint[] language sql stable as $$
  select array_agg(a.attnum order by n.at) from jsonb_array_elements_text(names) with ordinality as n(name, at)
  join pg_catalog.pg_attribute a on a.attrelid = t and a.attname = n.name::name
$$;
create function pg_standin.listed_names(names jsonb) returns text language sql immutable as $$
  select string_agg(quote_ident(n.name), ', ' order by n.at)
  from jsonb_array_elements_text(names) with ordinality as n(name, at)
$$;
create view pg_standin.keys as
  select (3000000000 + (f.relation::bigint * 16 + k.at) % 1000000000)::oid as oid, f.relation,
    (k.key->>'name')::name as name, k.key->>'kind' as kind,
    pg_standin.places(f.relation, k.key->'columns') as columns,
    to_regclass(k.key->>'target') as target, k.key
  from pg_standin.facts f, jsonb_array_elements(f.facts->'keys') with ordinality as k(key, at);
create view pg_standin.pg_constraint as
  select k.oid, k.name as conname, c.relnamespace as connamespace,
    case k.kind when 'PRIMARY KEY' then 'p' when 'UNIQUE' then 'u' else 'f' end::"char" as contype,
    false as condeferrable, false as condeferred, k.relation as conrelid, 0::oid as contypid,
    coalesce(k.target::oid, 0::oid) as confrelid, ' '::"char" as confupdtype,
    ' '::"char" as confdeltype, ' '::"char" as confmatchtype, k.columns as conkey,
    pg_standin.places(k.target, k.key->'target_columns') as confkey,
    null::text as conbin, null::text as consrc
  from pg_standin.keys k join pg_catalog.pg_class c on c.oid = k.relation;
create function pg_standin.pg_get_constraintdef(number oid, pretty boolean default true) returns text
language sql stable as $$
  select k.kind || ' (' || pg_standin.listed_names(k.key->'columns') || ')'
    || case when k.target is null then '' else ' REFERENCES ' || k.target::text
      || coalesce('(' || pg_standin.listed_names(k.key->'target_columns') || ')', '') end
  from pg_standin.keys k where k.oid = number
$$;
