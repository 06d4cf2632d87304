-- The schema of the stand-in's own: facts about tables, the switches of rules, what was installed.
create schema pg_standin;

create table pg_standin.facts (relation oid primary key, facts jsonb not null default '{}');

-- Which of these texts made this catalogue; a front with others must not serve it.
create table pg_standin.installed (digest text not null);
create sequence pg_standin.fronts;

-- Whether a rule is in force for this session.
create function pg_standin.holds(rule text) returns boolean language sql stable as $$
  select not rule = any (string_to_array(coalesce(current_setting('s3rs_standin.off', true), ''), ','))
$$;

-- A log's text as CHAR(n): cut to its bytes and padded, as long as rule C7 is in force.
create function pg_standin.fixed(given text, size int) returns bpchar language sql stable as $$
  select case when pg_standin.holds('C7') then rpad(left(coalesce(given, ''), size), size)
    else coalesce(given, '') end::bpchar
$$;
