-- What fires stands once by its status instead of twice: one index has both the order of lists and what
-- figures need. For that the number of a row, which tells alerts of one millisecond apart, has a name: an
-- index can have it before other columns, and a copy of the database (VACUUM) keeps it.
DROP INDEX alerts_instance;
DROP INDEX alerts_status;
DROP INDEX alerts_firing;
DROP INDEX alerts_over;
DROP INDEX alerts_name;
DROP INDEX alerts_severity;
DROP INDEX alerts_carried;
DROP TRIGGER alert_hours_delete;
DROP TRIGGER alert_hours_update;
ALTER TABLE alerts RENAME TO alerts_before;
CREATE TABLE alerts (
    number        INTEGER PRIMARY KEY,
    fingerprint   TEXT NOT NULL,
    startsAt      INTEGER NOT NULL,
    name          TEXT NOT NULL,
    cause         TEXT,
    entryId       TEXT NOT NULL,
    severity      TEXT NOT NULL,
    status        TEXT NOT NULL,
    message       TEXT NOT NULL,
    timestamp     INTEGER NOT NULL,
    firstReceived INTEGER NOT NULL,
    changedAt     INTEGER NOT NULL,
    resolvedAt    INTEGER,
    duration      INTEGER,
    labels        TEXT NOT NULL,
    annotations   TEXT NOT NULL,
    generatorURL  TEXT,
    receiver      TEXT,
    carried       TEXT
);
INSERT INTO alerts
SELECT rowid, fingerprint, startsAt, name, cause, entryId, severity, status, message, timestamp,
    firstReceived, changedAt, resolvedAt, duration, labels, annotations, generatorURL, receiver, carried
FROM alerts_before;
DROP TABLE alerts_before;

CREATE UNIQUE INDEX alerts_instance ON alerts (fingerprint, startsAt);
CREATE INDEX alerts_status ON alerts (status, firstReceived, number, entryId, startsAt, changedAt);
CREATE INDEX alerts_over ON alerts (entryId, status, duration, startsAt, changedAt)
WHERE status <> 'firing';
CREATE INDEX alerts_name ON alerts (name, status, firstReceived);
CREATE INDEX alerts_severity ON alerts (severity, status, firstReceived);
CREATE INDEX alerts_carried ON alerts (carried ->> '$.entryId') WHERE carried IS NOT NULL;

CREATE TRIGGER alert_hours_delete AFTER DELETE ON alerts BEGIN
    UPDATE alert_hours SET alerts = alerts - 1
    WHERE hour = old.firstReceived / 3600000 - (old.firstReceived % 3600000 < 0)
        AND severity = old.severity;
    DELETE FROM alert_hours
    WHERE hour = old.firstReceived / 3600000 - (old.firstReceived % 3600000 < 0)
        AND severity = old.severity AND alerts <= 0;
END;
CREATE TRIGGER alert_hours_update AFTER UPDATE OF firstReceived, severity ON alerts
WHEN old.firstReceived <> new.firstReceived OR old.severity <> new.severity BEGIN
    UPDATE alert_hours SET alerts = alerts - 1
    WHERE hour = old.firstReceived / 3600000 - (old.firstReceived % 3600000 < 0)
        AND severity = old.severity;
    DELETE FROM alert_hours
    WHERE hour = old.firstReceived / 3600000 - (old.firstReceived % 3600000 < 0)
        AND severity = old.severity AND alerts <= 0;
    INSERT INTO alert_hours
    VALUES (new.firstReceived / 3600000 - (new.firstReceived % 3600000 < 0), new.severity, 1)
    ON CONFLICT DO UPDATE SET alerts = alerts + 1;
END;
