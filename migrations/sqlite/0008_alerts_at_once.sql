-- Alerts go into their table with their group again. What still waits is moved there: of the writes of
-- one alert the last one counts, and its last receipt only moves on.
INSERT OR REPLACE INTO alerts (fingerprint, startsAt, name, cause, entryId, severity, status, message,
    timestamp, firstReceived, changedAt, resolvedAt, duration, labels, annotations, generatorURL,
    receiver, carried)
SELECT alert ->> '$.fingerprint',
    round(1000 * unixepoch(alert ->> '$.startsAt', 'subsec')),
    alert ->> '$.name', alert ->> '$.cause', alert ->> '$.entryId', alert ->> '$.severity',
    alert ->> '$.status', alert ->> '$.message',
    round(1000 * unixepoch(alert ->> '$.timestamp', 'subsec')),
    round(1000 * unixepoch(alert ->> '$.firstReceived', 'subsec')),
    round(1000 * unixepoch(alert ->> '$.changedAt', 'subsec')),
    round(1000 * unixepoch(alert ->> '$.resolvedAt', 'subsec')),
    alert ->> '$.duration', alert -> '$.labels', alert -> '$.annotations',
    alert ->> '$.generatorURL', alert ->> '$.receiver', alert -> '$.carried'
FROM (
    SELECT alert_inbox.rowid AS place, write.key AS number,
        coalesce(write.value -> '$.insert', write.value -> '$.replace') AS alert
    FROM alert_inbox, json_each(alert_inbox.writes) AS write
)
WHERE alert IS NOT NULL
ORDER BY place, number;

UPDATE alerts SET timestamp = max(timestamp, receipt.at)
FROM (
    SELECT write.value ->> '$.touch[0].fingerprint' AS fingerprint,
        round(1000 * unixepoch(write.value ->> '$.touch[0].startsAt', 'subsec')) AS startsAt,
        max(round(1000 * unixepoch(write.value ->> '$.touch[1]', 'subsec'))) AS at
    FROM alert_inbox, json_each(alert_inbox.writes) AS write
    WHERE write.value -> '$.touch' IS NOT NULL
    GROUP BY 1, 2
) AS receipt
WHERE alerts.fingerprint = receipt.fingerprint AND alerts.startsAt = receipt.startsAt;

DELETE FROM alert_hours WHERE EXISTS (SELECT 1 FROM alert_inbox);
INSERT INTO alert_hours
SELECT firstReceived / 3600000 - (firstReceived % 3600000 < 0) AS hour, severity, count(*)
FROM alerts
WHERE EXISTS (SELECT 1 FROM alert_inbox)
GROUP BY hour, severity;

DROP TABLE alert_inbox;
