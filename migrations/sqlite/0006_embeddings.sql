-- What texts mean, by the hash of the model and the text: an embedding is made once.
CREATE TABLE embeddings (
    hash TEXT NOT NULL PRIMARY KEY,
    vector BLOB NOT NULL,
    usedAt INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX embeddings_used ON embeddings (usedAt);
