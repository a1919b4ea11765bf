-- Alerts are listed by receipt, of all or of one status, name or severity: each from an index in
-- that order. Every index ends in the rowid, which tells alerts of one millisecond apart.
DROP INDEX alerts_first_receipt;
CREATE INDEX alerts_first_receipt ON alerts (firstReceived);
CREATE INDEX alerts_status ON alerts (status, firstReceived);
CREATE INDEX alerts_name ON alerts (name, status, firstReceived);
CREATE INDEX alerts_severity ON alerts (severity, status, firstReceived);
-- The open instances of a fingerprint are found among its few instances: an index of their own
-- costs a page at a random place for each new alert. How many fire is counted from alerts_status.
DROP INDEX alerts_open;

-- How many alerts of each severity were first received in each hour, so that a month is counted from
-- some hundred rows. It is kept within the same transaction, as an index is: what arrives is added
-- by the service once a group, which is faster than a trigger a row, and the rest by triggers.
CREATE TABLE alert_hours (
    hour     INTEGER NOT NULL,
    severity TEXT NOT NULL,
    alerts   INTEGER NOT NULL,
    PRIMARY KEY (hour, severity)
) WITHOUT ROWID;
INSERT INTO alert_hours
SELECT firstReceived / 3600000 - (firstReceived % 3600000 < 0), severity, count(*)
FROM alerts GROUP BY 1, 2;

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
