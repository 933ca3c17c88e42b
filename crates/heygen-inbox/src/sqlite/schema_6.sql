-- How many deliveries came in, came again, and were not acknowledged, by minute and by hour. It stays when deliveries are pruned.
CREATE TABLE traffic (
    span INTEGER NOT NULL,          -- 60 or 3600 seconds
    at INTEGER NOT NULL,            -- when it begins, in microseconds since 1970
    kind TEXT NOT NULL,             -- accepted, duplicate, failed_attempt
    event_type TEXT NOT NULL,       -- empty for a body that was no event
    count INTEGER NOT NULL,
    PRIMARY KEY (span, at, kind, event_type)
) STRICT, WITHOUT ROWID;

-- What is there already, as far back as is kept.
INSERT INTO traffic (span, at, kind, event_type, count)
SELECT 3600, received_at / 3600000000 * 3600000000, 'accepted', coalesce(event_type, ''), count(*)
FROM delivery WHERE source <> 'import' AND id >= (unixepoch() - 32 * 86400) * 1000000 GROUP BY 2, 4;
