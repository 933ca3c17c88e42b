-- With which attempt the present round of handing out began: 1, or the first after the last replay.
ALTER TABLE delivery ADD COLUMN first_attempt INTEGER NOT NULL DEFAULT 1;

-- Few, and looked for by people.
CREATE INDEX delivery_dead ON delivery (id) WHERE state = 'dead';

-- In what events differed from what the program knew.
CREATE TABLE drift (
    kind TEXT NOT NULL,             -- unknown_event, unknown_field, misfit
    event_type TEXT NOT NULL,       -- empty for a body that was no event
    name TEXT NOT NULL,             -- of the event, of the field, or what did not fit
    count INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    example INTEGER NOT NULL,       -- the first delivery; it may have been pruned since
    PRIMARY KEY (kind, event_type, name)
) STRICT, WITHOUT ROWID;

-- How far work that goes on over restarts has come.
CREATE TABLE bookmark (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    set_at INTEGER NOT NULL
) STRICT;
