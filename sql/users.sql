-- name: users_by_ids :many
-- Accounts as stored; who may find them is decided in resolvers/visibility.py.
SELECT id, handle, display_name, bio, avatar_url, follower_count, following_count, post_count
FROM users WHERE id = ANY($1::bigint[]);

-- name: user_ids_by_handles :many
SELECT handle, user_id FROM handles WHERE handle = ANY($1::text[]);

-- name: user_id_by_email :maybe
SELECT user_id FROM emails WHERE email = $1;

-- name: claim_handle :maybe
-- No row: somebody has it. A claim in flight is waited for.
INSERT INTO handles (handle, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING user_id;

-- name: claim_email :maybe
INSERT INTO emails (email, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING user_id;

-- name: new_id :one
SELECT new_id() AS id;

-- name: insert_user :one
INSERT INTO users (id, handle, display_name) VALUES ($1, $2, $3)
RETURNING id, handle, display_name, bio, avatar_url, follower_count, following_count, post_count;

-- name: insert_credentials :run
INSERT INTO credentials (user_id, email, password_hash) VALUES ($1, $2, $3);

-- name: password_hash :maybe
SELECT password_hash FROM credentials WHERE user_id = $1;

-- name: lock_users :many
-- In key order, so that two who act on each other at the same moment never deadlock.
SELECT id FROM users WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE;

-- name: count_post :run
UPDATE users SET post_count = post_count + $2 WHERE id = $1;

-- name: count_follow :run
-- $1 follows (or, with -1, no longer follows) $2; both rows were locked in key order before.
UPDATE users SET
    following_count = following_count + CASE WHEN id = $1 THEN $3::integer ELSE 0 END,
    follower_count = follower_count + CASE WHEN id = $2 THEN $3::integer ELSE 0 END
WHERE id IN ($1, $2);

-- name: any_user :maybe
-- crosses owners: asks whether the server is empty, once at the start.
SELECT id FROM users LIMIT 1;
