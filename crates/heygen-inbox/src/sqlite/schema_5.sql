-- The words for states and results that everything else uses.
UPDATE delivery SET state = 'acknowledged' WHERE state = 'done';
UPDATE delivery SET state = 'dead_lettered' WHERE state = 'dead';
UPDATE attempt SET result = 'acknowledged' WHERE result = 'done';
UPDATE attempt SET result = 'dead_lettered' WHERE result = 'dead';
UPDATE drift SET kind = 'malformed' WHERE kind = 'misfit';
DROP INDEX delivery_dead;
CREATE INDEX delivery_dead_lettered ON delivery (id) WHERE state = 'dead_lettered';
