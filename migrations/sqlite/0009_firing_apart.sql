-- A new alert costs no page of its own for each pattern and for its receipt: what fires stands together
-- in the order of its start, so that new alerts are written at its end, and only what is over is found by
-- its entry. All alerts by receipt are those of each status, merged.
DROP INDEX alerts_entry;
CREATE INDEX alerts_over ON alerts (entryId, status, duration, startsAt, changedAt)
WHERE status <> 'firing';
CREATE INDEX alerts_firing ON alerts (status, startsAt, changedAt, entryId)
WHERE status = 'firing';
DROP INDEX alerts_first_receipt;
