-- History counts an alert on the day of its first receipt, whatever moves its last one on.
ALTER TABLE alerts ADD COLUMN firstReceived INTEGER NOT NULL DEFAULT 0;
UPDATE alerts SET firstReceived = timestamp;
CREATE INDEX alerts_first_receipt ON alerts (firstReceived, severity);

-- A series is read from the index alone.
DROP INDEX metrics_series;
CREATE INDEX metrics_series ON metrics (name, timestamp, value);

CREATE INDEX consolidations_end ON consolidations (timestamp);
