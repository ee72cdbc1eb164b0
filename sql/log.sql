-- name: announce :run
INSERT INTO outbox (owner_id, kind, public, data) VALUES ($1, $2, $3, $4);

-- name: announce_change :run
-- The row lock makes whoever sends this event wait for our commit, so that no change is left unsent.
INSERT INTO changes (author_id, post_id, pending) VALUES ($1, $2, true)
ON CONFLICT (author_id, post_id) DO UPDATE SET pending = true;

-- name: insert_fanout :run
INSERT INTO fanouts (author_id, post_id, kind) VALUES ($1, $2, $3);

-- name: log_head :one
SELECT epoch, number FROM sequencers WHERE part = $1;

-- name: log_floor :maybe
SELECT number FROM log WHERE part = $1 ORDER BY number LIMIT 1;

-- name: log_after :many
SELECT number, owner_id, kind, public, data FROM log WHERE part = $1 AND number > $2 ORDER BY number LIMIT $3;

-- name: log_of_owners :many
-- What concerns these owners above $3 and up to $4.
SELECT number, owner_id, kind, public, data FROM log
WHERE part = $1 AND owner_id = ANY($2::bigint[]) AND number > $3 AND number <= $4 ORDER BY number LIMIT $5;

-- name: count_of_owners :one
-- How many events log_of_owners would find, $5 at most.
SELECT count(*) AS number FROM (
    SELECT FROM log
    WHERE part = $1 AND owner_id = ANY($2::bigint[]) AND number > $3 AND number <= $4 LIMIT $5
) AS found;

-- name: count_public :one
-- How many events public_log would find, the viewer's own aside, $4 at most.
SELECT count(*) AS number FROM (
    SELECT FROM log WHERE part = $1 AND public AND number > $2 AND number <= $3 LIMIT $4
) AS found;

-- name: ties_in_log :maybe
-- Whether the ties of $2 changed above $3 and up to $4; with $5, whether a block did.
SELECT number FROM log
WHERE part = $1 AND owner_id = $2 AND kind = 'ties_changed' AND (NOT $5 OR (data->>'block')::boolean)
  AND number > $3 AND number <= $4 LIMIT 1;

-- name: public_log :many
-- What is public above $3 and up to $4, whoever it is of, and what changes the ties of $2.
SELECT number, owner_id, kind, public, data FROM (
    (
        SELECT number, owner_id, kind, public, data FROM log
        WHERE part = $1 AND public AND number > $3 AND number <= $4 ORDER BY number LIMIT $5
    ) UNION ALL (
        SELECT number, owner_id, kind, public, data FROM log
        WHERE part = $1 AND owner_id = $2 AND kind = 'ties_changed' AND NOT public
          AND number > $3 AND number <= $4 ORDER BY number LIMIT $5
    )
) AS both_kinds ORDER BY number LIMIT $5;

-- name: take_lease :maybe
-- A row when $2 holds the lease for the part now: it did before, or the holder has not beaten for $3 seconds.
UPDATE sequencers SET holder = $2, beat_at = clock_timestamp()
WHERE part = $1 AND (holder = $2 OR beat_at < clock_timestamp() - make_interval(secs => $3))
RETURNING number;

-- name: drop_lease :run
UPDATE sequencers SET holder = '', beat_at = '-infinity' WHERE part = $1 AND holder = $2;

-- name: outbox_first :maybe
-- crosses owners: whether anything waits to be numbered.
SELECT id FROM outbox ORDER BY id LIMIT 1;

-- name: number_outbox :maybe
-- crosses owners: moves what is committed into the log and numbers it without gaps. One statement, so a
-- worker that stalls cannot stop half-way; no row when $2 lost the lease.
WITH lease AS MATERIALIZED (
    SELECT part, number FROM sequencers WHERE part = $1 AND holder = $2 FOR UPDATE
), batch AS MATERIALIZED (
    SELECT o.owner_id, o.id FROM outbox o, lease ORDER BY o.id LIMIT $3
), moved AS (
    DELETE FROM outbox o USING batch b WHERE o.owner_id = b.owner_id AND o.id = b.id
    RETURNING o.owner_id, o.id, o.kind, o.public, o.data
), numbered AS (
    INSERT INTO log (part, number, owner_id, kind, public, data, logged_at)
    SELECT l.part, l.number + row_number() OVER (ORDER BY m.id, m.owner_id), m.owner_id, m.kind, m.public, m.data,
           clock_timestamp()
    FROM moved m, lease l
    RETURNING number
)
UPDATE sequencers s
SET number = s.number + (SELECT count(*) FROM numbered), beat_at = clock_timestamp()
FROM lease l WHERE s.part = l.part
RETURNING s.number, (SELECT count(*) FROM numbered) AS moved;

-- name: announce_changes :one
-- crosses owners: posts whose counters moved, each at most once in $1 seconds; those that were reposted
-- get a job that carries the news to the reposters' audiences.
WITH due AS MATERIALIZED (
    SELECT author_id, post_id FROM changes
    WHERE pending AND sent_at < clock_timestamp() - make_interval(secs => $1)
    ORDER BY sent_at LIMIT $2 FOR UPDATE SKIP LOCKED
), sent AS (
    UPDATE changes c SET pending = false, sent_at = clock_timestamp() FROM due d
    WHERE c.author_id = d.author_id AND c.post_id = d.post_id
    RETURNING c.author_id, c.post_id
), carried AS (
    INSERT INTO fanouts (author_id, post_id, kind)
    SELECT s.author_id, s.post_id, 'post_changed' FROM sent s
    JOIN posts p ON p.author_id = s.author_id AND p.id = s.post_id
    WHERE p.deleted_at IS NULL AND p.repost_count > 0
    RETURNING author_id, post_id, id
), announced AS (
    -- "change" says that this and what the job sends are the same news.
    INSERT INTO outbox (owner_id, kind, public, data)
    SELECT s.author_id, 'post_changed', p.reply_to_id IS NULL,
           jsonb_build_object('post', jsonb_build_array(s.author_id, s.post_id), 'change', c.id)
    FROM sent s JOIN posts p ON p.author_id = s.author_id AND p.id = s.post_id
    LEFT JOIN carried c ON c.author_id = s.author_id AND c.post_id = s.post_id
    WHERE p.deleted_at IS NULL
)
SELECT count(*) AS sent FROM sent;

-- name: trim_changes :run
-- crosses owners: swept by whoever numbers the log.
DELETE FROM changes WHERE NOT pending AND sent_at < now() - interval '1 minute';

-- name: take_fanout :maybe
-- crosses owners: the next job, locked until its step is done.
SELECT author_id, id, post_id, kind, after_actor FROM fanouts ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: move_fanout :run
UPDATE fanouts SET after_actor = $3 WHERE author_id = $1 AND id = $2;

-- name: end_fanout :run
DELETE FROM fanouts WHERE author_id = $1 AND id = $2;

-- name: trim_log :run
-- What is older than $2 seconds, at most $3 rows at a time.
DELETE FROM log l USING (
    SELECT number FROM log WHERE part = $1 AND logged_at < now() - make_interval(secs => $2)
    ORDER BY number LIMIT $3
) old WHERE l.part = $1 AND l.number = old.number;
