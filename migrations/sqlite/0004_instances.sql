-- Figures are a fold over the stored instances: each alert says which entry it belongs to, and an
-- entry keeps what retention has summed up. pattern_id and pattern_of are functions of the binary.
ALTER TABLE alerts ADD COLUMN cause TEXT;
ALTER TABLE alerts ADD COLUMN entryId TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN changedAt INTEGER NOT NULL DEFAULT 0;
ALTER TABLE alerts ADD COLUMN carried TEXT;
UPDATE alerts SET
    cause = nullif(labels ->> '$.cause', ''),
    entryId = pattern_id(name, coalesce(labels ->> '$.cause', '')),
    changedAt = firstReceived;

-- At most one open instance a fingerprint.
UPDATE alerts SET status = 'superseded'
WHERE status = 'firing' AND EXISTS (
    SELECT 1 FROM alerts AS later
    WHERE later.fingerprint = alerts.fingerprint AND later.status = 'firing'
        AND later.startsAt > alerts.startsAt);

-- The open instance of a fingerprint, and how many fire.
DROP INDEX alerts_firing;
CREATE INDEX alerts_open ON alerts (fingerprint) WHERE status = 'firing';
-- The figures of an entry, or of all, without touching the rows.
CREATE INDEX alerts_entry ON alerts (entryId, status, duration, startsAt, changedAt);
CREATE INDEX alerts_carried ON alerts (carried ->> '$.entryId') WHERE carried IS NOT NULL;
-- Retention.
DROP INDEX alerts_receipt;
CREATE INDEX alerts_receipt ON alerts (timestamp);

-- Who the instances were whose alerts are deleted, so that one that comes back counts once.
CREATE TABLE alert_identities (
    fingerprint   TEXT NOT NULL,
    startsAt      INTEGER NOT NULL,
    carried       TEXT NOT NULL,
    firstReceived INTEGER NOT NULL,
    expiredAt     INTEGER NOT NULL,
    PRIMARY KEY (fingerprint, startsAt)
) WITHOUT ROWID;
CREATE INDEX alert_identities_expiry ON alert_identities (expiredAt);
CREATE INDEX alert_identities_entry ON alert_identities (carried ->> '$.entryId');

ALTER TABLE knowledge_base RENAME TO knowledge_base_before;
DROP INDEX knowledge_updated;
CREATE TABLE knowledge_base (
    id              TEXT NOT NULL PRIMARY KEY,
    version         INTEGER NOT NULL,
    title           TEXT NOT NULL,
    category        TEXT NOT NULL,
    severity        TEXT NOT NULL,
    description     TEXT NOT NULL,
    rootCause       TEXT,
    solution        TEXT NOT NULL,
    prerequisites   TEXT NOT NULL,
    steps           TEXT NOT NULL,
    expectedOutcome TEXT NOT NULL,
    tags            TEXT NOT NULL,
    relatedEntries  TEXT NOT NULL,
    runbookUrl      TEXT,
    provenance      TEXT NOT NULL,
    pattern         TEXT,
    firstSeen       INTEGER NOT NULL,
    lastUpdated     INTEGER NOT NULL,
    notes           TEXT NOT NULL,
    helped          INTEGER NOT NULL,
    notHelped       INTEGER NOT NULL,
    summedUp        TEXT NOT NULL
);
-- The counters of before, less what the stored instances say, are what retention had summed up.
INSERT INTO knowledge_base
SELECT id, 1, title, category, severity, description, rootCause, solution, prerequisites, steps,
    expectedOutcome, tags, relatedEntries, runbookUrl, provenance,
    CASE category WHEN 'alert_pattern' THEN pattern_of(id, title, rootCause, tags) END,
    firstSeen, lastUpdated, '[]', 0, 0,
    json_object(
        'tally', json_object(
            'occurrences', max(0, occurrences - coalesce(stored.instances, 0)),
            'resolved', max(0, resolutions - coalesce(stored.resolved, 0)),
            'superseded', 0,
            'resolveMs', CAST(max(0, resolveMs - coalesce(stored.duration, 0)) AS INTEGER)),
        'batch', 0,
        'statedSuccessRate', CASE WHEN firing IS NULL AND resolutions <= 0 THEN successRate END,
        'statedMeanMs', CASE WHEN firing IS NULL AND resolutions <= 0
            THEN CAST(meanTimeToResolveMs AS INTEGER) END)
FROM knowledge_base_before LEFT JOIN (
    SELECT entryId, count(*) AS instances, sum(status = 'resolved') AS resolved,
        total(CASE status WHEN 'resolved' THEN duration END) AS duration
    FROM alerts GROUP BY entryId) AS stored ON stored.entryId = id;
DROP TABLE knowledge_base_before;
