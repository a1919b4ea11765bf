-- One alert an instance; its identity is what makes a repeated webhook harmless.
CREATE UNIQUE INDEX alerts_instance ON alerts (fingerprint, startsAt);
-- How many fire now; it grows at its end, so a flood of new alerts costs it little.
CREATE INDEX alerts_firing ON alerts (status) WHERE status = 'firing';
-- Retention, and counts by severity without touching the rows.
CREATE INDEX alerts_receipt ON alerts (timestamp, severity);

CREATE INDEX metrics_series ON metrics (name, timestamp);
-- Retention, and counts by name without touching the rows.
CREATE INDEX metrics_time ON metrics (timestamp, name);

-- What other processes changed lately.
CREATE INDEX knowledge_updated ON knowledge_base (lastUpdated);
