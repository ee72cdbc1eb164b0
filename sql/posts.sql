-- name: posts_by_keys :many
-- As stored, with their authors, whom whoever reads posts nearly always reads next, and with those of the accounts $3
-- who reposted them: all of it is the authors'. Who may see them is decided in resolvers/visibility.py.
-- (SELECT $3) keeps thousands of accounts from the planner, which took longer over them than the statement itself.
SELECT p.author_id, p.id, p.text, p.direction, p.reply_to_author_id, p.reply_to_id,
       p.like_count, p.repost_count, p.reply_count, p.idempotency_key,
       u.handle, u.display_name, u.bio, u.avatar_url, u.follower_count, u.following_count, u.post_count,
       r.actor_ids, r.entry_ids
FROM unnest($1::bigint[], $2::bigint[]) AS k (author_id, id)
CROSS JOIN LATERAL (
    SELECT * FROM posts WHERE author_id = k.author_id AND id = k.id AND deleted_at IS NULL LIMIT 1
) p
CROSS JOIN LATERAL (SELECT * FROM users WHERE id = k.author_id LIMIT 1) u
CROSS JOIN LATERAL (
    SELECT array_agg(actor_id ORDER BY actor_id) AS actor_ids, array_agg(entry_id ORDER BY actor_id) AS entry_ids
    FROM reposters
    WHERE author_id = k.author_id AND post_id = k.id AND actor_id = ANY((SELECT $3::bigint[])::bigint[])
) r;

-- name: insert_post :one
INSERT INTO posts (author_id, id, text, direction, reply_to_author_id, reply_to_id, idempotency_key)
VALUES ($1, new_id(), $2, $3, $4, $5, $6)
RETURNING author_id, id, text, direction, reply_to_author_id, reply_to_id,
          like_count, repost_count, reply_count, idempotency_key;

-- name: post_by_idempotency_key :maybe
SELECT author_id, id, text, direction, reply_to_author_id, reply_to_id,
       like_count, repost_count, reply_count, idempotency_key, deleted_at IS NOT NULL AS deleted
FROM posts WHERE author_id = $1 AND idempotency_key = $2;

-- name: forget_idempotency_key :run
UPDATE posts SET idempotency_key = NULL WHERE author_id = $1 AND idempotency_key = $2;

-- name: insert_reply :run
INSERT INTO replies (parent_author_id, parent_id, id, author_id) VALUES ($1, $2, $3, $4);

-- name: delete_reply :run
DELETE FROM replies WHERE parent_author_id = $1 AND parent_id = $2 AND id = $3 AND author_id = $4;

-- name: lock_post :maybe
-- A post that is there, locked until the end of the transaction; no row when it is gone.
SELECT author_id, id, text, direction, reply_to_author_id, reply_to_id,
       like_count, repost_count, reply_count, idempotency_key
FROM posts WHERE author_id = $1 AND id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE;

-- name: post_as_stored :maybe
SELECT author_id, id, text, direction, reply_to_author_id, reply_to_id,
       like_count, repost_count, reply_count, idempotency_key
FROM posts WHERE author_id = $1 AND id = $2 AND deleted_at IS NULL;

-- name: bury_post :run
UPDATE posts SET deleted_at = now(), text = '' WHERE author_id = $1 AND id = $2;

-- name: was_deleted :maybe
SELECT id FROM posts WHERE author_id = $1 AND id = $2 AND deleted_at IS NOT NULL;

-- name: count_reply :run
UPDATE posts SET reply_count = reply_count + $3 WHERE author_id = $1 AND id = $2;

-- name: count_like :run
UPDATE posts SET like_count = like_count + $3 WHERE author_id = $1 AND id = $2;

-- name: count_repost :run
UPDATE posts SET repost_count = repost_count + $3 WHERE author_id = $1 AND id = $2;

-- name: insert_like :maybe
INSERT INTO likes (user_id, author_id, post_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING post_id;

-- name: delete_like :maybe
DELETE FROM likes WHERE user_id = $1 AND author_id = $2 AND post_id = $3 RETURNING post_id;

-- name: replies_down :many
-- The replies of several posts, each from its own position on, newest first.
SELECT k.nth::integer, r.id, r.author_id
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) WITH ORDINALITY
     AS k (author_id, post_id, from_id, from_author, nth)
CROSS JOIN LATERAL (
    SELECT id, author_id FROM replies
    WHERE parent_author_id = k.author_id AND parent_id = k.post_id
      AND (id, author_id) < (k.from_id, k.from_author)
    ORDER BY id DESC, author_id DESC LIMIT $5
) r ORDER BY k.nth, r.id DESC, r.author_id DESC;

-- name: replies_up :many
SELECT k.nth::integer, r.id, r.author_id
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) WITH ORDINALITY
     AS k (author_id, post_id, from_id, from_author, nth)
CROSS JOIN LATERAL (
    SELECT id, author_id FROM replies
    WHERE parent_author_id = k.author_id AND parent_id = k.post_id
      AND (id, author_id) > (k.from_id, k.from_author)
    ORDER BY id, author_id LIMIT $5
) r ORDER BY k.nth, r.id, r.author_id;
