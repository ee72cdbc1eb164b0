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

-- name: log_floor :one
SELECT floor AS number FROM sequencers WHERE part = $1;

-- name: log_after :many
SELECT number, owner_id, kind, public, data FROM (
    (
        SELECT number, owner_id, kind, public, data FROM log
        WHERE part = $1 AND number > $2 ORDER BY number LIMIT $3
    ) UNION ALL (
        SELECT number, owner_id, 'post_changed' AS kind, public, data FROM changed_posts
        WHERE part = $1 AND number > $2 ORDER BY number LIMIT $3
    )
) AS both_kinds ORDER BY number LIMIT $3;

-- name: log_of_owners :many
-- What concerns these owners above $3 and up to $4. "+ 0" so that it is read by owner: in the order of numbers a day of
-- everybody's events would be read for the few of these owners.
SELECT number, owner_id, kind, public, data FROM (
    (
        SELECT number, owner_id, kind, public, data FROM log
        WHERE part = $1 AND owner_id = ANY($2::bigint[]) AND number > $3 AND number <= $4 ORDER BY number + 0 LIMIT $5
    ) UNION ALL (
        SELECT number, owner_id, 'post_changed' AS kind, public, data FROM changed_posts
        WHERE part = $1 AND owner_id = ANY($2::bigint[]) AND number > $3 AND number <= $4 ORDER BY number + 0 LIMIT $5
    )
) AS both_kinds ORDER BY number LIMIT $5;

-- name: count_of_owners :one
-- How many events log_of_owners would find, $5 at most.
SELECT count(*) AS number FROM (
    SELECT FROM log
    WHERE part = $1 AND owner_id = ANY($2::bigint[]) AND number > $3 AND number <= $4
    UNION ALL
    SELECT FROM changed_posts
    WHERE part = $1 AND owner_id = ANY($2::bigint[]) AND number > $3 AND number <= $4
    LIMIT $5
) AS found;

-- name: count_public :one
-- How many events public_log would find, the viewer's own aside, $4 at most.
SELECT count(*) AS number FROM (
    SELECT FROM log WHERE part = $1 AND public AND number > $2 AND number <= $3
    UNION ALL
    SELECT FROM changed_posts WHERE part = $1 AND public AND number > $2 AND number <= $3
    LIMIT $4
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
        SELECT number, owner_id, 'post_changed' AS kind, public, data FROM changed_posts
        WHERE part = $1 AND public AND number > $3 AND number <= $4 ORDER BY number LIMIT $5
    ) UNION ALL (
        SELECT number, owner_id, kind, public, data FROM log
        WHERE part = $1 AND owner_id = $2 AND kind = 'ties_changed' AND NOT public
          AND number > $3 AND number <= $4 ORDER BY number LIMIT $5
    )
) AS all_kinds ORDER BY number LIMIT $5;

-- name: take_lease :maybe
-- A row when $2 holds the lease for the part now: it did before, or the holder has not beaten for $3 seconds. The epoch is
-- a new one where this is another database than that in which it began.
UPDATE sequencers SET holder = $2, beat_at = clock_timestamp(), origin = log_origin(),
       epoch = CASE WHEN origin IN ('', log_origin()) THEN epoch ELSE substr(md5(gen_random_uuid()::text), 1, 8) END
WHERE part = $1 AND (holder = $2 OR beat_at < clock_timestamp() - make_interval(secs => $3))
RETURNING number, room;

-- name: renew_epoch :one
-- Of what every client has seen nothing can be proved any more.
UPDATE sequencers SET epoch = substr(md5(gen_random_uuid()::text), 1, 8) WHERE part = $1 RETURNING epoch, number;

-- name: make_log_room :one
SELECT make_log_room($1, $2, $3) AS room;

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
), given AS MATERIALIZED (
    SELECT l.part, l.number + row_number() OVER (ORDER BY m.id, m.owner_id) AS number,
           m.owner_id, m.kind, m.public, m.data, clock_timestamp() AS logged_at
    FROM moved m, lease l
), logged AS (
    INSERT INTO log (part, number, owner_id, kind, public, data, logged_at)
    SELECT part, number, owner_id, kind, public, data, logged_at FROM given WHERE kind <> 'post_changed'
), changed AS (
    -- Of several news of a post the last one tells all; an author who reposted their own post is told twice, and one
    -- of the two is public.
    INSERT INTO changed_posts AS c (owner_id, author_id, post_id, part, number, public, data, logged_at)
    SELECT DISTINCT ON (owner_id, data->'post') owner_id, (data->'post'->>0)::bigint, (data->'post'->>1)::bigint,
           part, number, bool_or(public) OVER (PARTITION BY owner_id, data->'post'), data, logged_at
    FROM given WHERE kind = 'post_changed' ORDER BY owner_id, data->'post', number DESC
    ON CONFLICT (part, owner_id, author_id, post_id) DO UPDATE
    SET number = excluded.number, public = c.public OR excluded.public, data = excluded.data,
        logged_at = excluded.logged_at
)
UPDATE sequencers s
SET number = s.number + (SELECT count(*) FROM given), beat_at = clock_timestamp()
FROM lease l WHERE s.part = l.part
RETURNING s.number, (SELECT count(*) FROM given) AS moved;

-- name: announce_changes :one
-- crosses owners: posts whose counters moved, each at most once in $1 seconds; those that were reposted
-- get a job that carries the news to the reposters' audiences. A post that came in last a day ago is no news.
WITH due AS MATERIALIZED (
    SELECT author_id, post_id FROM changes
    WHERE pending AND sent_at < clock_timestamp() - make_interval(secs => $1)
    ORDER BY sent_at LIMIT $2 FOR UPDATE SKIP LOCKED
), sent AS (
    UPDATE changes c SET pending = false, sent_at = clock_timestamp() FROM due d
    WHERE c.author_id = d.author_id AND c.post_id = d.post_id
    RETURNING c.author_id, c.post_id
), news AS MATERIALIZED (
    SELECT p.author_id, p.id AS post_id, p.reply_to_id, p.repost_count FROM sent s
    JOIN posts p ON p.author_id = s.author_id AND p.id = s.post_id
    WHERE p.deleted_at IS NULL AND (
        p.id > id_at(now() - interval '24 hours') OR EXISTS (
            SELECT FROM reposters r WHERE r.author_id = p.author_id AND r.post_id = p.id
            AND r.entry_id > id_at(now() - interval '24 hours')
        )
    )
), carried AS (
    INSERT INTO fanouts (author_id, post_id, kind)
    SELECT author_id, post_id, 'post_changed' FROM news WHERE repost_count > 0
    RETURNING author_id, post_id, id
), announced AS (
    -- "change" says that this and what the job sends are the same news.
    INSERT INTO outbox (owner_id, kind, public, data)
    SELECT n.author_id, 'post_changed', n.reply_to_id IS NULL,
           jsonb_build_object('post', jsonb_build_array(n.author_id, n.post_id), 'change', c.id)
    FROM news n LEFT JOIN carried c ON c.author_id = n.author_id AND c.post_id = n.post_id
)
SELECT count(*) AS sent FROM sent;

-- name: trim_changes :run
-- crosses owners: swept by whoever numbers the log.
DELETE FROM changes WHERE NOT pending AND sent_at < now() - interval '1 minute';

-- name: take_fanout :maybe
-- crosses owners: the next job, locked until its step is done.
SELECT author_id, id, post_id, kind, after_actor FROM fanouts WHERE not_before <= clock_timestamp()
ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: postpone_fanout :run
-- A job that failed: tried again after a second, then after twice as long each time, up to five minutes.
UPDATE fanouts SET attempts = attempts + 1,
       not_before = clock_timestamp() + make_interval(secs => least(300, 2 ^ least(attempts, 10)))
WHERE author_id = $1 AND id = $2;

-- name: move_fanout :run
UPDATE fanouts SET after_actor = $3 WHERE author_id = $1 AND id = $2;

-- name: end_fanout :run
DELETE FROM fanouts WHERE author_id = $1 AND id = $2;

-- name: drop_old_log :one
-- Drops the oldest partition when all in it is older than $2 seconds.
SELECT drop_old_log($1, $2) AS number;

-- name: trim_changed_posts :run
-- What is older than $2 seconds, at most $3 rows at a time.
DELETE FROM changed_posts c USING (
    SELECT number FROM changed_posts WHERE part = $1 AND logged_at < now() - make_interval(secs => $2)
    ORDER BY number LIMIT $3
) old WHERE c.part = $1 AND c.number = old.number;
