-- migrate:up
-- A dump that is restored on its own server, and a copy made there, are other databases, too.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Which database this is: server, timeline, database and table. A copied data folder is another server, a promoted or
-- rewound one goes on on another timeline, a copy is another database, and a dump makes its tables anew.
CREATE OR REPLACE FUNCTION log_origin() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT concat_ws('/',
        (SELECT system_identifier FROM pg_control_system()),
        substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
        (SELECT oid FROM pg_database WHERE datname = current_database()),
        'sequencers'::regclass::oid)
$$;
-- Nothing was numbered: it is whose lease is taken first.
UPDATE sequencers SET origin = CASE WHEN number = 0 THEN '' ELSE log_origin() END;
