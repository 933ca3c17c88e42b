-- Of the whole body, 32 bytes. NULL in rows of version 2, which compared `digest` and `event_id`. Since then `digest` only leads
-- to records of HeyGen's log, and from those to POSTs: it is empty where a body has no data.
ALTER TABLE delivery ADD COLUMN body_digest BLOB;

-- 2: its rows stand in `seen`; 3: in `fingerprint`.
ALTER TABLE seen_run ADD COLUMN version INTEGER NOT NULL DEFAULT 2;

-- As `seen`, and several deliveries may have one fingerprint: equal bodies that name no job are stored again after an hour.
CREATE TABLE fingerprint (
    run INTEGER NOT NULL,
    fingerprint INTEGER NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (run, fingerprint, id)
) STRICT, WITHOUT ROWID;

-- With which record of HeyGen's log a POST was found to be one.
CREATE TABLE matched (
    id INTEGER PRIMARY KEY REFERENCES delivery (id),
    event_id TEXT,                  -- of the record, where it had one
    body_digest BLOB NOT NULL       -- of the record, 32 bytes
) STRICT;

-- The POST that came after its record, as HeyGen signed it.
CREATE TABLE signed (
    id INTEGER PRIMARY KEY REFERENCES delivery (id),
    received_at INTEGER NOT NULL,
    headers TEXT NOT NULL,          -- [["name","value"],…]
    body BLOB NOT NULL,             -- byte for byte
    body_digest BLOB NOT NULL       -- 32 bytes
) STRICT;

-- Up to which delivery version 2 wrote.
INSERT INTO inbox (name, value) SELECT 'version_2_to', max(id) FROM delivery HAVING max(id) IS NOT NULL;
