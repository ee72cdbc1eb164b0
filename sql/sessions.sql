-- name: insert_session :run
INSERT INTO sessions (user_id, id, refresh_digest, expires_at) VALUES ($1, $2, $3, $4);

-- name: lock_session :maybe
SELECT user_id, id, generation, refresh_digest, rotated_at, expires_at, revoked_at
FROM sessions WHERE user_id = $1 AND id = $2 FOR UPDATE;

-- name: rotate_session :run
UPDATE sessions SET generation = $3, refresh_digest = $4, rotated_at = $5, expires_at = $6
WHERE user_id = $1 AND id = $2;

-- name: revoke_session :maybe
UPDATE sessions SET revoked_at = now() WHERE user_id = $1 AND id = $2 AND revoked_at IS NULL RETURNING id;

-- name: revoke_sessions_of :many
-- Every session of an account that is not over; locked in order, as several rows always are.
WITH open AS (
    SELECT user_id, id FROM sessions
    WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > now() ORDER BY id FOR UPDATE
)
UPDATE sessions s SET revoked_at = now() FROM open
WHERE s.user_id = $1 AND s.user_id = open.user_id AND s.id = open.id RETURNING s.id;

-- name: sessions_rotated_at :many
-- When these sessions were last refreshed, those that are over left out. LATERAL … LIMIT: a look-up for each key.
SELECT s.user_id, s.id, s.rotated_at
FROM unnest($1::bigint[], $2::bigint[]) AS k (user_id, id)
CROSS JOIN LATERAL (
    SELECT * FROM sessions
    WHERE user_id = k.user_id AND id = k.id AND revoked_at IS NULL AND expires_at > now() LIMIT 1
) s;

-- name: sessions_revoked_lately :many
-- crosses owners: a starting worker learns which access tokens are refused though they have not expired.
SELECT id FROM sessions WHERE revoked_at > now() - make_interval(secs => $1);

-- name: spend_throttle :maybe
-- A leaky bucket that holds $2 and drips $3 a second: adds one if that fits, otherwise no row.
INSERT INTO throttles AS t (key, level, drips_at) VALUES ($1, 1, clock_timestamp())
ON CONFLICT (key) DO UPDATE SET
    level = greatest(0, t.level - extract(epoch FROM clock_timestamp() - t.drips_at) * $3::float8) + 1,
    drips_at = clock_timestamp()
WHERE greatest(0, t.level - extract(epoch FROM clock_timestamp() - t.drips_at) * $3::float8) + 1 <= $2::float8
RETURNING level;

-- name: refund_throttle :run
UPDATE throttles SET level = greatest(0, level - 1) WHERE key = $1;

-- name: throttle_wait :maybe
-- Seconds until one more fits into the bucket.
SELECT (level - extract(epoch FROM clock_timestamp() - drips_at) * $3::float8 + 1 - $2::float8) / $3::float8
    AS seconds
FROM throttles WHERE key = $1;

-- name: trim_throttles :run
-- crosses owners: buckets that have long run dry are swept by whoever numbers the log.
DELETE FROM throttles WHERE drips_at < now() - interval '1 day';
