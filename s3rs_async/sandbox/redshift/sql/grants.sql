-- Everybody reads what was made before this.
grant usage on schema pg_standin to public;
grant select on all tables in schema pg_standin to public;
grant select on all tables in schema information_schema to public;
do $$
declare
  item name;
begin
  for item in select relname from pg_catalog.pg_class
    where relnamespace = 'pg_catalog'::regnamespace and relkind = 'v' and oid >= 16384
  loop
    execute format('grant select on pg_catalog.%I to public', item);
  end loop;
end $$;
