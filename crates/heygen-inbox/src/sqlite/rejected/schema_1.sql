-- Posts that were turned away. A file apart from the inbox, so that a flood of strangers never waits for, or delays, its
-- writer. Times are whole microseconds since 1970.
CREATE TABLE rejected (
    -- Never used again, so that a number somebody wrote down means one post.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Whether it carried a well-formed signature: such posts have room of their own.
    is_signed INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    count INTEGER NOT NULL,
    reason TEXT NOT NULL,
    explanation TEXT,
    -- What it counts with against the limit in bytes.
    cost INTEGER NOT NULL,
    -- JSON: names of all headers.
    header_names TEXT NOT NULL,
    -- JSON: pairs of name and value, of signature headers only. Other values may be credentials.
    signatures TEXT NOT NULL,
    -- SHA-256 over signatures and body, or over signatures and reason where the body was not read.
    digest BLOB NOT NULL,
    -- The bytes received; NULL where they were not read whole.
    body BLOB
) STRICT;

CREATE UNIQUE INDEX rejected_digest ON rejected (digest);
CREATE INDEX rejected_age ON rejected (is_signed, last_at, cost);
