-- The schema that the migrations make, as pg_dump prints it. Written by `make sql-schema`; do not edit.

CREATE FUNCTION public.drop_old_log(of_part smallint, seconds double precision) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO '$user', 'public'
    SET lock_timeout TO '200ms'
    AS $$
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

CREATE FUNCTION public.id_at(moment timestamp with time zone) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    SELECT ((extract(epoch FROM moment) * 1000000)::bigint - 1735689600000000) << 11
$$;

CREATE FUNCTION public.log_origin() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT concat_ws('/',
        (SELECT system_identifier FROM pg_control_system()),
        substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
        (SELECT oid FROM pg_database WHERE datname = current_database()),
        'sequencers'::regclass::oid)
$$;

CREATE FUNCTION public.make_log_room(of_part smallint, by_holder text, size bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO '$user', 'public'
    AS $$
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

CREATE FUNCTION public.new_id() RETURNS bigint
    LANGUAGE sql
    AS $$
    SELECT ((extract(epoch FROM clock_timestamp()) * 1000000)::bigint - 1735689600000000) << 11
           | (nextval('id_numbers') & 2047)
$$;

CREATE TABLE public.blocked_by (
    blocked_id bigint NOT NULL,
    blocker_id bigint NOT NULL,
    since_id bigint NOT NULL,
    CONSTRAINT blocked_by_check CHECK ((blocker_id <> blocked_id))
);

CREATE TABLE public.blocks (
    blocker_id bigint NOT NULL,
    blocked_id bigint NOT NULL,
    since_id bigint NOT NULL,
    CONSTRAINT blocks_check CHECK ((blocker_id <> blocked_id))
);

CREATE TABLE public.changed_posts (
    owner_id bigint NOT NULL,
    author_id bigint NOT NULL,
    post_id bigint NOT NULL,
    part smallint NOT NULL,
    number bigint NOT NULL,
    public boolean NOT NULL,
    data jsonb NOT NULL,
    logged_at timestamp with time zone NOT NULL
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='2000');

CREATE TABLE public.changes (
    author_id bigint NOT NULL,
    post_id bigint NOT NULL,
    pending boolean NOT NULL,
    sent_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='2000');

CREATE TABLE public.credentials (
    user_id bigint NOT NULL,
    email text NOT NULL,
    password_hash text NOT NULL
);

CREATE TABLE public.emails (
    email text NOT NULL,
    user_id bigint NOT NULL
);

CREATE TABLE public.entries (
    actor_id bigint NOT NULL,
    id bigint NOT NULL,
    post_author_id bigint NOT NULL,
    post_id bigint NOT NULL,
    reply_to_author_id bigint
);

CREATE TABLE public.fanouts (
    author_id bigint NOT NULL,
    id bigint DEFAULT public.new_id() NOT NULL,
    post_id bigint NOT NULL,
    kind text NOT NULL,
    after_actor bigint DEFAULT '-1'::integer NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    not_before timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL
);

CREATE TABLE public.followers (
    followee_id bigint NOT NULL,
    follower_id bigint NOT NULL,
    since_id bigint NOT NULL,
    CONSTRAINT followers_check CHECK ((follower_id <> followee_id))
);

CREATE TABLE public.following (
    follower_id bigint NOT NULL,
    followee_id bigint NOT NULL,
    since_id bigint NOT NULL,
    CONSTRAINT following_check CHECK ((follower_id <> followee_id))
);

CREATE TABLE public.handles (
    handle text NOT NULL,
    user_id bigint NOT NULL,
    CONSTRAINT handles_handle_check CHECK ((handle ~ '^[a-z0-9_]{3,30}$'::text))
);

CREATE SEQUENCE public.id_numbers
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 64
    CYCLE;

CREATE TABLE public.likes (
    user_id bigint NOT NULL,
    author_id bigint NOT NULL,
    post_id bigint NOT NULL
);

CREATE TABLE public.log (
    part smallint NOT NULL,
    number bigint NOT NULL,
    owner_id bigint NOT NULL,
    kind text NOT NULL,
    public boolean NOT NULL,
    data jsonb NOT NULL,
    logged_at timestamp with time zone NOT NULL
)
PARTITION BY RANGE (number);

CREATE TABLE public.outbox (
    owner_id bigint NOT NULL,
    id bigint DEFAULT public.new_id() NOT NULL,
    kind text NOT NULL,
    public boolean NOT NULL,
    data jsonb NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='2000');

CREATE TABLE public.posts (
    author_id bigint NOT NULL,
    id bigint NOT NULL,
    text text NOT NULL,
    direction text NOT NULL,
    reply_to_author_id bigint,
    reply_to_id bigint,
    like_count integer DEFAULT 0 NOT NULL,
    repost_count integer DEFAULT 0 NOT NULL,
    reply_count integer DEFAULT 0 NOT NULL,
    idempotency_key text,
    deleted_at timestamp with time zone,
    CONSTRAINT posts_check CHECK (((reply_to_author_id IS NULL) = (reply_to_id IS NULL))),
    CONSTRAINT posts_check1 CHECK (((deleted_at IS NULL) OR (text = ''::text))),
    CONSTRAINT posts_direction_check CHECK ((direction = ANY (ARRAY['LTR'::text, 'RTL'::text, 'NEUTRAL'::text]))),
    CONSTRAINT posts_like_count_check CHECK ((like_count >= 0)),
    CONSTRAINT posts_reply_count_check CHECK ((reply_count >= 0)),
    CONSTRAINT posts_repost_count_check CHECK ((repost_count >= 0))
)
WITH (fillfactor='85');

CREATE TABLE public.replies (
    parent_author_id bigint NOT NULL,
    parent_id bigint NOT NULL,
    id bigint NOT NULL,
    author_id bigint NOT NULL
);

CREATE TABLE public.reposters (
    author_id bigint NOT NULL,
    post_id bigint NOT NULL,
    actor_id bigint NOT NULL,
    entry_id bigint NOT NULL
);

CREATE TABLE public.sequencers (
    part smallint NOT NULL,
    epoch text NOT NULL,
    number bigint NOT NULL,
    holder text NOT NULL,
    beat_at timestamp with time zone NOT NULL,
    floor bigint DEFAULT 0 NOT NULL,
    room bigint DEFAULT 1 NOT NULL,
    origin text DEFAULT ''::text NOT NULL
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='500');

CREATE TABLE public.sessions (
    user_id bigint NOT NULL,
    id bigint NOT NULL,
    generation integer DEFAULT 0 NOT NULL,
    refresh_digest bytea NOT NULL,
    rotated_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone
)
WITH (fillfactor='85');

CREATE TABLE public.throttles (
    key text NOT NULL,
    level double precision NOT NULL,
    drips_at timestamp with time zone NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE public.trusted_documents (
    document_id text NOT NULL,
    text text NOT NULL,
    imported_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT trusted_documents_document_id_check CHECK (((length(document_id) >= 1) AND (length(document_id) <= 200)))
);

CREATE TABLE public.users (
    id bigint NOT NULL,
    handle text NOT NULL,
    display_name text NOT NULL,
    bio text,
    avatar_url text,
    follower_count integer DEFAULT 0 NOT NULL,
    following_count integer DEFAULT 0 NOT NULL,
    post_count integer DEFAULT 0 NOT NULL,
    CONSTRAINT users_follower_count_check CHECK ((follower_count >= 0)),
    CONSTRAINT users_following_count_check CHECK ((following_count >= 0)),
    CONSTRAINT users_post_count_check CHECK ((post_count >= 0))
)
WITH (fillfactor='85');

ALTER TABLE ONLY public.blocked_by
    ADD CONSTRAINT blocked_by_pkey PRIMARY KEY (blocked_id, blocker_id);

ALTER TABLE ONLY public.blocks
    ADD CONSTRAINT blocks_pkey PRIMARY KEY (blocker_id, blocked_id);

ALTER TABLE ONLY public.changed_posts
    ADD CONSTRAINT changed_posts_pkey PRIMARY KEY (part, owner_id, author_id, post_id);

ALTER TABLE ONLY public.changes
    ADD CONSTRAINT changes_pkey PRIMARY KEY (author_id, post_id);

ALTER TABLE ONLY public.credentials
    ADD CONSTRAINT credentials_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY public.emails
    ADD CONSTRAINT emails_pkey PRIMARY KEY (email);

ALTER TABLE ONLY public.entries
    ADD CONSTRAINT entries_pkey PRIMARY KEY (actor_id, id) INCLUDE (post_author_id, post_id, reply_to_author_id);

ALTER TABLE ONLY public.fanouts
    ADD CONSTRAINT fanouts_pkey PRIMARY KEY (author_id, id);

ALTER TABLE ONLY public.followers
    ADD CONSTRAINT followers_pkey PRIMARY KEY (followee_id, follower_id);

ALTER TABLE ONLY public.following
    ADD CONSTRAINT following_pkey PRIMARY KEY (follower_id, followee_id);

ALTER TABLE ONLY public.handles
    ADD CONSTRAINT handles_pkey PRIMARY KEY (handle);

ALTER TABLE ONLY public.likes
    ADD CONSTRAINT likes_pkey PRIMARY KEY (user_id, author_id, post_id);

ALTER TABLE ONLY public.log
    ADD CONSTRAINT log_pkey PRIMARY KEY (part, number);

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (owner_id, id);

ALTER TABLE ONLY public.posts
    ADD CONSTRAINT posts_pkey PRIMARY KEY (author_id, id);

ALTER TABLE ONLY public.replies
    ADD CONSTRAINT replies_pkey PRIMARY KEY (parent_author_id, parent_id, id, author_id);

ALTER TABLE ONLY public.reposters
    ADD CONSTRAINT reposters_pkey PRIMARY KEY (author_id, post_id, actor_id) INCLUDE (entry_id);

ALTER TABLE ONLY public.sequencers
    ADD CONSTRAINT sequencers_pkey PRIMARY KEY (part);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (user_id, id);

ALTER TABLE ONLY public.throttles
    ADD CONSTRAINT throttles_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.trusted_documents
    ADD CONSTRAINT trusted_documents_pkey PRIMARY KEY (document_id);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

CREATE INDEX changed_posts_by_number ON public.changed_posts USING btree (part, number);

CREATE INDEX changed_posts_by_owner ON public.changed_posts USING btree (part, owner_id, number);

CREATE INDEX changes_pending ON public.changes USING btree (sent_at) WHERE pending;

CREATE INDEX entries_by_time ON public.entries USING btree (id, actor_id) INCLUDE (post_author_id, post_id, reply_to_author_id);

CREATE INDEX entries_own_posts ON public.entries USING btree (actor_id, id) WHERE ((id = post_id) AND (reply_to_author_id IS NULL));

CREATE INDEX entries_public ON public.entries USING btree (id, actor_id) WHERE ((id = post_id) AND (reply_to_author_id IS NULL));

CREATE UNIQUE INDEX entries_reposts ON public.entries USING btree (actor_id, post_author_id, post_id) WHERE (id <> post_id);

CREATE INDEX followers_newest ON public.followers USING btree (followee_id, since_id, follower_id);

CREATE INDEX following_newest ON public.following USING btree (follower_id, since_id, followee_id);

CREATE INDEX log_by_owner ON ONLY public.log USING btree (part, owner_id, number);

CREATE INDEX log_by_time ON ONLY public.log USING btree (part, logged_at);

CREATE INDEX log_public ON ONLY public.log USING btree (part, number) WHERE public;

CREATE INDEX outbox_order ON public.outbox USING btree (id);

CREATE UNIQUE INDEX posts_idempotency ON public.posts USING btree (author_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);

CREATE INDEX reposters_newest ON public.reposters USING btree (author_id, post_id, entry_id);

ALTER TABLE ONLY public.credentials
    ADD CONSTRAINT credentials_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;
