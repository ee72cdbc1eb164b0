-- migrate:up
-- Every table's primary key starts with its owner, so that tables can be distributed by it later;
-- foreign keys stay inside one owner. See ARCHITECTURE.md, "The owner leads every key".
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- An id is its time: microseconds since 2025-01-01 UTC, shifted by 11 bits, plus a running number that
-- keeps apart what falls into one microsecond. The database's clock alone gives them.
CREATE SEQUENCE id_numbers CYCLE CACHE 64;

CREATE FUNCTION new_id() RETURNS bigint LANGUAGE sql VOLATILE PARALLEL UNSAFE AS $$
    SELECT ((extract(epoch FROM clock_timestamp()) * 1000000)::bigint - 1735689600000000) << 11
           | (nextval('id_numbers') & 2047)
$$;

CREATE FUNCTION id_at(moment timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT ((extract(epoch FROM moment) * 1000000)::bigint - 1735689600000000) << 11
$$;

-- Accounts -----------------------------------------------------------------------------------------------

CREATE TABLE users (
    id              bigint PRIMARY KEY,
    handle          text NOT NULL,
    display_name    text NOT NULL,
    bio             text,
    avatar_url      text,
    follower_count  integer NOT NULL DEFAULT 0 CHECK (follower_count >= 0),
    following_count integer NOT NULL DEFAULT 0 CHECK (following_count >= 0),
    post_count      integer NOT NULL DEFAULT 0 CHECK (post_count >= 0)
) WITH (fillfactor = 85);

-- What is unique across owners has a table of its own, keyed by itself.
CREATE TABLE handles (
    handle  text PRIMARY KEY CHECK (handle ~ '^[a-z0-9_]{3,30}$'),
    user_id bigint NOT NULL
);

CREATE TABLE emails (
    email   text PRIMARY KEY,
    user_id bigint NOT NULL
);

CREATE TABLE credentials (
    user_id       bigint PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    email         text NOT NULL,
    password_hash text NOT NULL
);

CREATE TABLE sessions (
    user_id        bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id             bigint NOT NULL,
    generation     integer NOT NULL DEFAULT 0,
    refresh_digest bytea NOT NULL,
    rotated_at     timestamptz NOT NULL DEFAULT now(),
    expires_at     timestamptz NOT NULL,
    revoked_at     timestamptz,
    PRIMARY KEY (user_id, id)
) WITH (fillfactor = 85);

-- One leaky bucket for each thing that is limited (an account, an address), keyed by itself.
CREATE TABLE throttles (
    key      text PRIMARY KEY,
    level    double precision NOT NULL,
    drips_at timestamptz NOT NULL
) WITH (fillfactor = 70);

-- Ties between accounts: each side has its own table, since each is read from its own side ------------------

CREATE TABLE following (
    follower_id bigint NOT NULL,
    followee_id bigint NOT NULL,
    since_id    bigint NOT NULL,
    PRIMARY KEY (follower_id, followee_id),
    CHECK (follower_id <> followee_id)
);
CREATE INDEX following_newest ON following (follower_id, since_id, followee_id);

CREATE TABLE followers (
    followee_id bigint NOT NULL,
    follower_id bigint NOT NULL,
    since_id    bigint NOT NULL,
    PRIMARY KEY (followee_id, follower_id),
    CHECK (follower_id <> followee_id)
);
CREATE INDEX followers_newest ON followers (followee_id, since_id, follower_id);

CREATE TABLE blocks (
    blocker_id bigint NOT NULL,
    blocked_id bigint NOT NULL,
    since_id   bigint NOT NULL,
    PRIMARY KEY (blocker_id, blocked_id),
    CHECK (blocker_id <> blocked_id)
);

CREATE TABLE blocked_by (
    blocked_id bigint NOT NULL,
    blocker_id bigint NOT NULL,
    since_id   bigint NOT NULL,
    PRIMARY KEY (blocked_id, blocker_id),
    CHECK (blocker_id <> blocked_id)
);

-- Posts -----------------------------------------------------------------------------------------------------

CREATE TABLE posts (
    author_id          bigint NOT NULL,
    id                 bigint NOT NULL,
    text               text NOT NULL,
    direction          text NOT NULL CHECK (direction IN ('LTR', 'RTL', 'NEUTRAL')),
    reply_to_author_id bigint,
    reply_to_id        bigint,
    like_count         integer NOT NULL DEFAULT 0 CHECK (like_count >= 0),
    repost_count       integer NOT NULL DEFAULT 0 CHECK (repost_count >= 0),
    reply_count        integer NOT NULL DEFAULT 0 CHECK (reply_count >= 0),
    idempotency_key    text,
    -- A deleted post leaves its key and nothing of what it said, so that deleting it twice is known.
    deleted_at         timestamptz,
    PRIMARY KEY (author_id, id),
    CHECK ((reply_to_author_id IS NULL) = (reply_to_id IS NULL)),
    CHECK (deleted_at IS NULL OR text = '')
) WITH (fillfactor = 85);
CREATE UNIQUE INDEX posts_idempotency ON posts (author_id, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- What an account put into timelines: its posts (id = post_id) and its reposts.
CREATE TABLE entries (
    actor_id           bigint NOT NULL,
    id                 bigint NOT NULL,
    post_author_id     bigint NOT NULL,
    post_id            bigint NOT NULL,
    reply_to_author_id bigint,
    PRIMARY KEY (actor_id, id) INCLUDE (post_author_id, post_id, reply_to_author_id)
);
CREATE UNIQUE INDEX entries_reposts ON entries (actor_id, post_author_id, post_id) WHERE id <> post_id;
CREATE INDEX entries_own_posts ON entries (actor_id, id) WHERE id = post_id AND reply_to_author_id IS NULL;
CREATE INDEX entries_by_time ON entries (id, actor_id) INCLUDE (post_author_id, post_id, reply_to_author_id);
CREATE INDEX entries_public ON entries (id, actor_id) WHERE id = post_id AND reply_to_author_id IS NULL;

CREATE TABLE replies (
    parent_author_id bigint NOT NULL,
    parent_id        bigint NOT NULL,
    id               bigint NOT NULL,
    author_id        bigint NOT NULL,
    PRIMARY KEY (parent_author_id, parent_id, id, author_id)
);

CREATE TABLE reposters (
    author_id bigint NOT NULL,
    post_id   bigint NOT NULL,
    actor_id  bigint NOT NULL,
    entry_id  bigint NOT NULL,
    PRIMARY KEY (author_id, post_id, actor_id) INCLUDE (entry_id)
);

CREATE TABLE likes (
    user_id   bigint NOT NULL,
    author_id bigint NOT NULL,
    post_id   bigint NOT NULL,
    PRIMARY KEY (user_id, author_id, post_id)
);

-- Live: what happened, written by the transaction that made it happen, numbered after its commit ---------------

CREATE TABLE outbox (
    owner_id bigint NOT NULL,
    id       bigint NOT NULL DEFAULT new_id(),
    kind     text NOT NULL,
    public   boolean NOT NULL,
    data     jsonb NOT NULL,
    PRIMARY KEY (owner_id, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX outbox_order ON outbox (id);

-- One row for a post whose counters moved; events about it go out at most once a second.
CREATE TABLE changes (
    author_id bigint NOT NULL,
    post_id   bigint NOT NULL,
    pending   boolean NOT NULL,
    sent_at   timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (author_id, post_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX changes_pending ON changes (sent_at) WHERE pending;

-- Jobs that carry what happened to a post to the accounts that reposted it.
CREATE TABLE fanouts (
    author_id   bigint NOT NULL,
    id          bigint NOT NULL DEFAULT new_id(),
    post_id     bigint NOT NULL,
    kind        text NOT NULL,
    after_actor bigint NOT NULL DEFAULT -1,
    PRIMARY KEY (author_id, id)
);

-- The head of each part of the log, and which worker numbers it (a lease).
CREATE TABLE sequencers (
    part    smallint PRIMARY KEY,
    epoch   text NOT NULL,
    number  bigint NOT NULL,
    holder  text NOT NULL,
    beat_at timestamptz NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
INSERT INTO sequencers (part, epoch, number, holder, beat_at)
VALUES (0, substr(md5(gen_random_uuid()::text), 1, 8), 0, '', '-infinity');

CREATE TABLE log (
    part      smallint NOT NULL,
    number    bigint NOT NULL,
    owner_id  bigint NOT NULL,
    kind      text NOT NULL,
    public    boolean NOT NULL,
    data      jsonb NOT NULL,
    logged_at timestamptz NOT NULL,
    PRIMARY KEY (part, number)
);
CREATE INDEX log_by_owner ON log (part, owner_id, number);
CREATE INDEX log_public ON log (part, number) WHERE public;
