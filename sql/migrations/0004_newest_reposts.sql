-- migrate:up transaction:false
-- squawk-disable-assume-in-transaction
-- When a post came in last: news of its counters end a day later.
-- squawk-ignore require-lock-timeout, require-statement-timeout
CREATE INDEX CONCURRENTLY IF NOT EXISTS reposters_newest ON reposters (author_id, post_id, entry_id);
