-- name: entries_by_keys :many
-- LATERAL … LIMIT: a look-up for each key; a plain join may read all that these accounts ever put in.
SELECT e.actor_id, e.id, e.post_author_id, e.post_id, e.reply_to_author_id
FROM unnest($1::bigint[], $2::bigint[]) AS k (actor_id, id)
CROSS JOIN LATERAL (SELECT * FROM entries WHERE actor_id = k.actor_id AND id = k.id LIMIT 1) e;

-- name: insert_entry :run
INSERT INTO entries (actor_id, id, post_author_id, post_id, reply_to_author_id) VALUES ($1, $2, $3, $4, $5);

-- name: insert_repost :maybe
-- No row when this account reposted the post already.
INSERT INTO entries (actor_id, id, post_author_id, post_id, reply_to_author_id)
VALUES ($1, new_id(), $2, $3, $4)
ON CONFLICT (actor_id, post_author_id, post_id) WHERE id <> post_id DO NOTHING
RETURNING actor_id, id, post_author_id, post_id, reply_to_author_id;

-- name: delete_repost :maybe
DELETE FROM entries WHERE actor_id = $1 AND post_author_id = $2 AND post_id = $3 AND id <> post_id
RETURNING actor_id, id, post_author_id, post_id, reply_to_author_id;

-- name: delete_entry :run
DELETE FROM entries WHERE actor_id = $1 AND id = $2;

-- name: insert_reposter :run
INSERT INTO reposters (author_id, post_id, actor_id, entry_id) VALUES ($1, $2, $3, $4);

-- name: delete_reposter :run
DELETE FROM reposters WHERE author_id = $1 AND post_id = $2 AND actor_id = $3;

-- name: reposts_by_actors :many
-- Who of these accounts reposted these posts. (SELECT $3) keeps thousands of accounts from the planner, which took
-- longer over them than the statement itself; OFFSET 0 keeps it from reading more than these posts' reposters.
SELECT r.author_id, r.post_id, r.actor_id, r.entry_id
FROM unnest($1::bigint[], $2::bigint[]) AS k (author_id, post_id)
CROSS JOIN LATERAL (
    SELECT * FROM reposters
    WHERE author_id = k.author_id AND post_id = k.post_id AND actor_id = ANY((SELECT $3::bigint[])::bigint[]) OFFSET 0
) r;

-- name: some_reposters :many
-- At most $3 reposts of each of these posts.
SELECT r.author_id, r.post_id, r.actor_id, r.entry_id
FROM unnest($1::bigint[], $2::bigint[]) AS k (author_id, post_id)
CROSS JOIN LATERAL (
    SELECT * FROM reposters WHERE author_id = k.author_id AND post_id = k.post_id LIMIT $3
) r;

-- name: reposters_after :many
SELECT actor_id, entry_id FROM reposters
WHERE author_id = $1 AND post_id = $2 AND actor_id > $3 ORDER BY actor_id LIMIT $4;

-- name: entries_of_few_down :many
-- The newest entries of a few accounts below a position: each account's own newest, merged. Replies to somebody else
-- than these accounts are left out, except those of $5, the viewer (resolvers/home.py decides again).
SELECT e.actor_id, e.id, e.post_author_id, e.post_id, e.reply_to_author_id
FROM unnest($1::bigint[]) AS a (id)
CROSS JOIN LATERAL (
    SELECT * FROM entries WHERE actor_id = a.id AND (id, actor_id) < ($2, $3) AND id <= $2
    AND (reply_to_author_id IS NULL OR id <> post_id OR actor_id = $5 OR reply_to_author_id = actor_id
         OR reply_to_author_id = ANY($1::bigint[]))
    ORDER BY id DESC LIMIT $4
) e ORDER BY e.id DESC, e.actor_id DESC LIMIT $4;

-- name: entries_of_few_up :many
SELECT e.actor_id, e.id, e.post_author_id, e.post_id, e.reply_to_author_id
FROM unnest($1::bigint[]) AS a (id)
CROSS JOIN LATERAL (
    SELECT * FROM entries WHERE actor_id = a.id AND (id, actor_id) > ($2, $3) AND id >= $2
    AND (reply_to_author_id IS NULL OR id <> post_id OR actor_id = $5 OR reply_to_author_id = actor_id
         OR reply_to_author_id = ANY($1::bigint[]))
    ORDER BY id LIMIT $4
) e ORDER BY e.id, e.actor_id LIMIT $4;

-- name: entries_of_many_down :many
-- The entries of many accounts below a position and not older than $4: one descent of the index for each.
-- OFFSET 0 keeps the planner from walking everybody's entries in the wanted order instead.
SELECT e.actor_id, e.id, e.post_author_id, e.post_id, e.reply_to_author_id
FROM (
    SELECT * FROM entries
    WHERE actor_id = ANY($1::bigint[]) AND id <= $2 AND id >= $4 AND (id, actor_id) < ($2, $3) OFFSET 0
) e WHERE e.reply_to_author_id IS NULL OR e.id <> e.post_id OR e.actor_id = $6 OR e.reply_to_author_id = e.actor_id
    OR (e.reply_to_author_id IN (SELECT unnest($1::bigint[]))) IS TRUE
ORDER BY e.id DESC, e.actor_id DESC LIMIT $5;

-- name: entries_of_many_up :many
SELECT e.actor_id, e.id, e.post_author_id, e.post_id, e.reply_to_author_id
FROM (
    SELECT * FROM entries
    WHERE actor_id = ANY($1::bigint[]) AND id >= $2 AND id <= $4 AND (id, actor_id) > ($2, $3) OFFSET 0
) e WHERE e.reply_to_author_id IS NULL OR e.id <> e.post_id OR e.actor_id = $6 OR e.reply_to_author_id = e.actor_id
    OR (e.reply_to_author_id IN (SELECT unnest($1::bigint[]))) IS TRUE
ORDER BY e.id, e.actor_id LIMIT $5;

-- name: entries_walked_down :many
-- crosses owners: so many accounts are everywhere; nobody's entries are decoded but those that match.
-- The newest $4 entries of all below a position, as far as they are by these accounts. IN … IS TRUE keeps the
-- planner from making it a join: a hash is asked for each entry, in the index's order, until the limit is reached.
SELECT e.actor_id, e.id, e.post_author_id, e.post_id, e.reply_to_author_id
FROM (
    SELECT * FROM entries WHERE id <= $2 AND (id, actor_id) < ($2, $3)
    ORDER BY id DESC, actor_id DESC LIMIT $4
) e WHERE (e.actor_id IN (SELECT unnest($1::bigint[]))) IS TRUE
    AND (e.reply_to_author_id IS NULL OR e.id <> e.post_id OR e.actor_id = $6 OR e.reply_to_author_id = e.actor_id
         OR (e.reply_to_author_id IN (SELECT unnest($1::bigint[]))) IS TRUE)
ORDER BY e.id DESC, e.actor_id DESC LIMIT $5;

-- name: entries_walked_up :many
-- crosses owners: so many accounts are everywhere; nobody's entries are decoded but those that match.
SELECT e.actor_id, e.id, e.post_author_id, e.post_id, e.reply_to_author_id
FROM (
    SELECT * FROM entries WHERE id >= $2 AND (id, actor_id) > ($2, $3)
    ORDER BY id, actor_id LIMIT $4
) e WHERE (e.actor_id IN (SELECT unnest($1::bigint[]))) IS TRUE
    AND (e.reply_to_author_id IS NULL OR e.id <> e.post_id OR e.actor_id = $6 OR e.reply_to_author_id = e.actor_id
         OR (e.reply_to_author_id IN (SELECT unnest($1::bigint[]))) IS TRUE)
ORDER BY e.id, e.actor_id LIMIT $5;

-- name: entry_at_depth_down :maybe
-- crosses owners: the first entry that a walk of $3 entries did not reach; no row when it reached the end.
SELECT actor_id, id FROM entries WHERE id <= $1 AND (id, actor_id) < ($1, $2)
ORDER BY id DESC, actor_id DESC OFFSET $3 LIMIT 1;

-- name: entry_at_depth_up :maybe
-- crosses owners: the first entry that a walk of $3 entries did not reach; no row when it reached the end.
SELECT actor_id, id FROM entries WHERE id >= $1 AND (id, actor_id) > ($1, $2)
ORDER BY id, actor_id OFFSET $3 LIMIT 1;

-- name: public_entries_down :many
-- crosses owners: the public timeline is everybody's.
SELECT actor_id, id, post_author_id, post_id, reply_to_author_id FROM entries
WHERE id = post_id AND reply_to_author_id IS NULL AND (id, actor_id) < ($1, $2)
ORDER BY id DESC, actor_id DESC LIMIT $3;

-- name: public_entries_up :many
-- crosses owners: the public timeline is everybody's.
SELECT actor_id, id, post_author_id, post_id, reply_to_author_id FROM entries
WHERE id = post_id AND reply_to_author_id IS NULL AND (id, actor_id) > ($1, $2)
ORDER BY id, actor_id LIMIT $3;

-- name: own_posts_down :many
-- The posts of several accounts, no replies and no reposts, each from its own position on, newest first.
SELECT k.nth::integer, e.id, e.actor_id AS author_id
FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS k (actor_id, from_id, nth)
CROSS JOIN LATERAL (
    SELECT id, actor_id FROM entries
    WHERE actor_id = k.actor_id AND id < k.from_id AND id = post_id AND reply_to_author_id IS NULL
    ORDER BY id DESC LIMIT $3
) e ORDER BY k.nth, e.id DESC;

-- name: own_posts_up :many
SELECT k.nth::integer, e.id, e.actor_id AS author_id
FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS k (actor_id, from_id, nth)
CROSS JOIN LATERAL (
    SELECT id, actor_id FROM entries
    WHERE actor_id = k.actor_id AND id > k.from_id AND id = post_id AND reply_to_author_id IS NULL
    ORDER BY id LIMIT $3
) e ORDER BY k.nth, e.id;
