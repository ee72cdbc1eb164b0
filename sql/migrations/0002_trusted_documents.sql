-- migrate:up
-- Documents that the operator imported, by each id that a client may ask for them with: the one of the manifest, and the
-- SHA-256 of the text. They belong to no account; like handles they have a table of their own, keyed by itself.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE trusted_documents (
    document_id text PRIMARY KEY CHECK (length(document_id) BETWEEN 1 AND 200),
    text        text NOT NULL,
    imported_at timestamptz NOT NULL DEFAULT now()
);
