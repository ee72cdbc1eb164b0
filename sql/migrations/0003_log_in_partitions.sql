-- migrate:up
-- The log in partitions that are dropped when they are old, counters of posts in one row each, and an epoch that
-- changes when the database is not the one it was. See docs/decisions/0003.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- floor: all numbers up to it were dropped. room: below it each number has its partition. origin: the server and timeline
-- on which the epoch began.
ALTER TABLE sequencers
    ADD COLUMN floor  bigint NOT NULL DEFAULT 0,
    ADD COLUMN room   bigint NOT NULL DEFAULT 1,
    ADD COLUMN origin text NOT NULL DEFAULT '';

-- What was logged before is not kept: whoever was away then fetches the page again.
-- squawk-ignore ban-drop-table
DROP TABLE log;
CREATE TABLE log (
    part      smallint NOT NULL,
    number    bigint NOT NULL,
    owner_id  bigint NOT NULL,
    kind      text NOT NULL,
    public    boolean NOT NULL,
    data      jsonb NOT NULL,
    logged_at timestamptz NOT NULL,
    PRIMARY KEY (part, number)
) PARTITION BY RANGE (number);
CREATE INDEX log_by_owner ON log (part, owner_id, number);
CREATE INDEX log_public ON log (part, number) WHERE public;
CREATE INDEX log_by_time ON log (part, logged_at);
UPDATE sequencers SET floor = number, room = number + 1;

-- The newest news of a post's counters, one row for each owner under whom it is told. Its number moves forward.
CREATE TABLE changed_posts (
    owner_id  bigint NOT NULL,
    author_id bigint NOT NULL,
    post_id   bigint NOT NULL,
    part      smallint NOT NULL,
    number    bigint NOT NULL,
    public    boolean NOT NULL,
    data      jsonb NOT NULL,
    logged_at timestamptz NOT NULL,
    PRIMARY KEY (part, owner_id, author_id, post_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX changed_posts_by_number ON changed_posts (part, number);
CREATE INDEX changed_posts_by_owner ON changed_posts (part, owner_id, number);

-- A job that failed waits, and those behind it do not.
ALTER TABLE fanouts
    ADD COLUMN attempts  integer NOT NULL DEFAULT 0,
    ADD COLUMN not_before timestamptz NOT NULL DEFAULT '-infinity';

-- Which server this is, and which timeline of it: a restored copy is another server, a promoted or rewound one goes on
-- on another timeline.
CREATE FUNCTION log_origin() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT system_identifier || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) FROM pg_control_system()
$$;
UPDATE sequencers SET origin = log_origin();

-- Make a partition for the next `size` numbers, if the holder has the lease still; below which number there is room then.
-- Attached, since that disturbs no reader; creating it in its place would lock the log.
CREATE FUNCTION make_log_room(of_part smallint, by_holder text, size bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    first bigint;
BEGIN
    SELECT room INTO first FROM sequencers WHERE part = of_part AND holder = by_holder FOR UPDATE;
    IF first IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('CREATE TABLE log_%s (LIKE log INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', first);
    EXECUTE format('ALTER TABLE log ATTACH PARTITION log_%s FOR VALUES FROM (%s) TO (%s)', first, first, first + size);
    UPDATE sequencers SET room = first + size WHERE part = of_part;
    RETURN first + size;
END
$$;

-- Drop the oldest partition if all in it was logged `seconds` ago or more; the floor then, NULL when nothing was dropped.
-- Whoever reads rows above n, and then a floor of n or less, has read all there were: the floor moves with the drop.
CREATE FUNCTION drop_old_log(of_part smallint, seconds double precision) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '200ms' AS $$
DECLARE
    oldest regclass;
    past bigint;
    newest timestamptz;
BEGIN
    SELECT c.oid::regclass,
           substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \(''?([0-9]+)')::bigint
    INTO oldest, past
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'log'::regclass ORDER BY 2 LIMIT 1;
    IF oldest IS NULL OR past > (SELECT number FROM sequencers WHERE part = of_part) THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT max(logged_at) FROM %s', oldest) INTO newest;
    IF newest > clock_timestamp() - make_interval(secs => seconds) THEN
        RETURN NULL;
    END IF;
    UPDATE sequencers SET floor = past - 1 WHERE part = of_part;
    EXECUTE format('DROP TABLE %s', oldest);
    RETURN past - 1;
END
$$;
