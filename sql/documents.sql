-- name: trusted_document :maybe
SELECT text FROM trusted_documents WHERE document_id = $1;

-- name: trust_document :maybe
-- No row: the id is taken.
INSERT INTO trusted_documents (document_id, text) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING text;
