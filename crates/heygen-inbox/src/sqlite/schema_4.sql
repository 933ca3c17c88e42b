-- How much of the time for retries the present round has used, in microseconds: attempts, and the waits between them.
ALTER TABLE delivery ADD COLUMN elapsed INTEGER NOT NULL DEFAULT 0;
-- How many attempts of the present round do not count: interrupted, or answered with a wish for a pause.
ALTER TABLE delivery ADD COLUMN uncounted INTEGER NOT NULL DEFAULT 0;
