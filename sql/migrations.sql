-- name: applied_migrations :many
-- crosses owners: the server's own book-keeping.
SELECT version FROM schema_migrations;
