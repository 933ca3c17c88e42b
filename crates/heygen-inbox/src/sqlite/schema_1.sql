-- Facts about the file itself: its tag.
CREATE TABLE inbox (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;

-- One row an event, small, so that lists and changes of state touch few pages. All times are microseconds since 1970.
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY,         -- time-ordered: at least received_at, moved up where two would collide
    received_at INTEGER NOT NULL,
    source TEXT NOT NULL,           -- webhook
    event_type TEXT,                -- NULL: the body could not be read as an event
    subject_id TEXT,
    callback_id TEXT,
    outcome TEXT,                   -- success, failure, other
    event_id TEXT,                  -- of the body, where it had one
    digest BLOB NOT NULL,           -- 16 bytes: of event name and canonical data
    state TEXT NOT NULL,            -- pending, claimed, done, dead
    due_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    claimed_at INTEGER
) STRICT;

CREATE INDEX delivery_due ON delivery (due_at, id) WHERE state = 'pending';
CREATE INDEX delivery_claimed ON delivery (id) WHERE state = 'claimed';

-- What came in with it, written once.
CREATE TABLE content (
    id INTEGER PRIMARY KEY REFERENCES delivery (id),
    headers TEXT NOT NULL,          -- [["name","value"],…]
    body BLOB NOT NULL              -- byte for byte
) STRICT;

-- The same event received again.
CREATE TABLE repeat (
    id INTEGER PRIMARY KEY REFERENCES delivery (id),
    count INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    last_headers TEXT NOT NULL
) STRICT;

-- Every handing-out that has ended.
CREATE TABLE attempt (
    delivery_id INTEGER NOT NULL REFERENCES delivery (id),
    number INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    duration INTEGER NOT NULL,      -- microseconds
    result TEXT NOT NULL,           -- done, retry, dead, interrupted
    detail TEXT,
    PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;

-- Where earlier deliveries are found by fingerprint. Written in sorted runs, so that every write is at the end.
CREATE TABLE seen_run (
    run INTEGER PRIMARY KEY,
    last_id INTEGER NOT NULL,       -- covers the deliveries up to this one
    filter BLOB NOT NULL            -- which fingerprints the run may hold
) STRICT;

CREATE TABLE seen (
    run INTEGER NOT NULL,
    fingerprint INTEGER NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (run, fingerprint)
) STRICT, WITHOUT ROWID;
