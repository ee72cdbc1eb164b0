-- name: viewer_side :many
-- What stands between the viewer $1 and the accounts $2, and what the viewer did with the posts ($3, $4): all of it is
-- the viewer's own. OFFSET 0 asks for each account and post; the planner would rather read all followers of a viewer
-- who has many, and all that they ever liked.
SELECT k.id AS user_id, NULL::bigint AS post_id,
       EXISTS (SELECT FROM following t WHERE t.follower_id = $1 AND t.followee_id = k.id OFFSET 0) AS followed_by_viewer,
       EXISTS (SELECT FROM followers t WHERE t.followee_id = $1 AND t.follower_id = k.id OFFSET 0) AS follows_viewer,
       EXISTS (SELECT FROM blocks t WHERE t.blocker_id = $1 AND t.blocked_id = k.id OFFSET 0) AS blocked_by_viewer,
       EXISTS (SELECT FROM blocked_by t WHERE t.blocked_id = $1 AND t.blocker_id = k.id OFFSET 0) AS blocks_viewer,
       false AS liked, false AS reposted
FROM unnest($2::bigint[]) AS k (id)
UNION ALL
SELECT k.author_id AS user_id, k.id AS post_id, false AS followed_by_viewer, false AS follows_viewer,
       false AS blocked_by_viewer, false AS blocks_viewer,
       EXISTS (SELECT FROM likes l WHERE l.user_id = $1 AND l.author_id = k.author_id AND l.post_id = k.id
               OFFSET 0) AS liked,
       EXISTS (SELECT FROM entries e WHERE e.actor_id = $1 AND e.post_author_id = k.author_id
               AND e.post_id = k.id AND e.id <> e.post_id OFFSET 0) AS reposted
FROM unnest($3::bigint[], $4::bigint[]) AS k (author_id, id);

-- name: relations :many
-- What stands between many viewers $1 and a few accounts $2, from the accounts' side: blocks, with $6 whom the viewers
-- follow, and with $5 all there is and what they did with a few posts ($3, $4). One row for each thing that is; "what"
-- is a bit of dataloaders.rows.Relation.
SELECT blocker_id AS viewer_id, blocked_id AS user_id, NULL::bigint AS post_id, 4 AS what
FROM blocked_by WHERE blocked_id = ANY($2::bigint[]) AND blocker_id = ANY($1::bigint[])
UNION ALL
SELECT blocked_id AS viewer_id, blocker_id AS user_id, NULL::bigint AS post_id, 8 AS what
FROM blocks WHERE blocker_id = ANY($2::bigint[]) AND blocked_id = ANY($1::bigint[])
UNION ALL
SELECT follower_id AS viewer_id, followee_id AS user_id, NULL::bigint AS post_id, 1 AS what
FROM followers WHERE ($5 OR $6) AND followee_id = ANY($2::bigint[]) AND follower_id = ANY($1::bigint[])
UNION ALL
SELECT followee_id AS viewer_id, follower_id AS user_id, NULL::bigint AS post_id, 2 AS what
FROM following WHERE $5 AND follower_id = ANY($2::bigint[]) AND followee_id = ANY($1::bigint[])
UNION ALL
SELECT l.user_id AS viewer_id, l.author_id AS user_id, l.post_id, 16 AS what
FROM unnest($3::bigint[], $4::bigint[]) AS k (author_id, post_id)
JOIN likes l ON l.user_id = ANY($1::bigint[]) AND l.author_id = k.author_id AND l.post_id = k.post_id
WHERE $5
UNION ALL
SELECT r.actor_id AS viewer_id, r.author_id AS user_id, r.post_id, 32 AS what
FROM unnest($3::bigint[], $4::bigint[]) AS k (author_id, post_id)
CROSS JOIN LATERAL (
    SELECT * FROM reposters
    WHERE author_id = k.author_id AND post_id = k.post_id AND actor_id = ANY($1::bigint[]) OFFSET 0
) r WHERE $5;

-- name: followed_by :one
-- Sorted, since the timeline's statements walk indexes in this order.
SELECT coalesce(array_agg(followee_id ORDER BY followee_id), '{}') AS ids FROM following WHERE follower_id = $1;

-- name: viewer_blocks :maybe
SELECT blocked_id AS user_id FROM blocks WHERE blocker_id = $1 AND blocked_id = $2;

-- name: blocked_either_way :maybe
SELECT $2::bigint AS user_id WHERE EXISTS (SELECT FROM blocks WHERE blocker_id = $1 AND blocked_id = $2)
    OR EXISTS (SELECT FROM blocked_by WHERE blocked_id = $1 AND blocker_id = $2);

-- name: insert_following :maybe
INSERT INTO following (follower_id, followee_id, since_id) VALUES ($1, $2, new_id())
ON CONFLICT DO NOTHING RETURNING since_id;

-- name: insert_follower :run
INSERT INTO followers (followee_id, follower_id, since_id) VALUES ($1, $2, $3);

-- name: delete_following :maybe
DELETE FROM following WHERE follower_id = $1 AND followee_id = $2 RETURNING since_id;

-- name: delete_follower :run
DELETE FROM followers WHERE followee_id = $1 AND follower_id = $2;

-- name: insert_block :maybe
INSERT INTO blocks (blocker_id, blocked_id, since_id) VALUES ($1, $2, new_id())
ON CONFLICT DO NOTHING RETURNING since_id;

-- name: insert_blocked_by :run
INSERT INTO blocked_by (blocked_id, blocker_id, since_id) VALUES ($1, $2, $3);

-- name: delete_block :maybe
DELETE FROM blocks WHERE blocker_id = $1 AND blocked_id = $2 RETURNING since_id;

-- name: delete_blocked_by :run
DELETE FROM blocked_by WHERE blocked_id = $1 AND blocker_id = $2;

-- name: followers_down :many
-- The followers of several accounts, each list from its own position on, newest first.
SELECT k.nth::integer, t.since_id AS id, t.follower_id AS user_id
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS k (owner_id, from_id, from_user, nth)
CROSS JOIN LATERAL (
    SELECT since_id, follower_id FROM followers
    WHERE followee_id = k.owner_id AND (since_id, follower_id) < (k.from_id, k.from_user)
    ORDER BY since_id DESC, follower_id DESC LIMIT $4
) t ORDER BY k.nth, t.since_id DESC, t.follower_id DESC;

-- name: followers_up :many
SELECT k.nth::integer, t.since_id AS id, t.follower_id AS user_id
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS k (owner_id, from_id, from_user, nth)
CROSS JOIN LATERAL (
    SELECT since_id, follower_id FROM followers
    WHERE followee_id = k.owner_id AND (since_id, follower_id) > (k.from_id, k.from_user)
    ORDER BY since_id, follower_id LIMIT $4
) t ORDER BY k.nth, t.since_id, t.follower_id;

-- name: following_down :many
SELECT k.nth::integer, t.since_id AS id, t.followee_id AS user_id
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS k (owner_id, from_id, from_user, nth)
CROSS JOIN LATERAL (
    SELECT since_id, followee_id FROM following
    WHERE follower_id = k.owner_id AND (since_id, followee_id) < (k.from_id, k.from_user)
    ORDER BY since_id DESC, followee_id DESC LIMIT $4
) t ORDER BY k.nth, t.since_id DESC, t.followee_id DESC;

-- name: following_up :many
SELECT k.nth::integer, t.since_id AS id, t.followee_id AS user_id
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS k (owner_id, from_id, from_user, nth)
CROSS JOIN LATERAL (
    SELECT since_id, followee_id FROM following
    WHERE follower_id = k.owner_id AND (since_id, followee_id) > (k.from_id, k.from_user)
    ORDER BY since_id, followee_id LIMIT $4
) t ORDER BY k.nth, t.since_id, t.followee_id;
