-- How many requests were rejected, by minute and by hour. It stays when requests make room for others.
CREATE TABLE traffic (
    span INTEGER NOT NULL,          -- 60 or 3600 seconds
    at INTEGER NOT NULL,            -- when it begins, in microseconds since 1970
    count INTEGER NOT NULL,
    PRIMARY KEY (span, at)
) STRICT, WITHOUT ROWID;

-- What is there already, as far as it is known when it came.
INSERT INTO traffic (span, at, count)
SELECT span, at / (span * 1000000) * (span * 1000000), sum(count)
FROM (SELECT first_at AS at, 1 AS count FROM rejected UNION ALL SELECT last_at, count - 1 FROM rejected),
    (SELECT 60 AS span UNION ALL SELECT 3600)
WHERE count > 0
GROUP BY 1, 2;
