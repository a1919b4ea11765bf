-- The collections of the contract as tables. Times are milliseconds since 1970, lists and maps
-- are JSON texts. system_state is made before the first migration: their records stand in it.

CREATE TABLE alerts (
    fingerprint  TEXT NOT NULL,
    startsAt     INTEGER NOT NULL,
    name         TEXT NOT NULL,
    severity     TEXT NOT NULL,
    status       TEXT NOT NULL,
    message      TEXT NOT NULL,
    timestamp    INTEGER NOT NULL,
    resolvedAt   INTEGER,
    duration     INTEGER,
    labels       TEXT NOT NULL,
    annotations  TEXT NOT NULL,
    generatorURL TEXT,
    receiver     TEXT
);

CREATE TABLE metrics (
    name      TEXT NOT NULL,
    value     REAL NOT NULL,
    unit      TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    labels    TEXT NOT NULL
);

CREATE TABLE knowledge_base (
    id                  TEXT NOT NULL PRIMARY KEY,
    title               TEXT NOT NULL,
    category            TEXT NOT NULL,
    severity            TEXT NOT NULL,
    description         TEXT NOT NULL,
    rootCause           TEXT,
    solution            TEXT NOT NULL,
    prerequisites       TEXT NOT NULL,
    steps               TEXT NOT NULL,
    expectedOutcome     TEXT NOT NULL,
    tags                TEXT NOT NULL,
    relatedEntries      TEXT NOT NULL,
    firstSeen           INTEGER NOT NULL,
    lastUpdated         INTEGER NOT NULL,
    occurrences         INTEGER NOT NULL,
    successRate         REAL,
    provenance          TEXT NOT NULL,
    runbookUrl          TEXT,
    meanTimeToResolveMs INTEGER,
    firing              INTEGER,
    resolutions         INTEGER NOT NULL,
    resolveMs           INTEGER NOT NULL
);

CREATE TABLE consolidations (
    date               TEXT NOT NULL PRIMARY KEY,
    timestamp          INTEGER NOT NULL,
    alerts             TEXT NOT NULL,
    metrics            TEXT NOT NULL,
    summary            TEXT NOT NULL,
    insights           TEXT NOT NULL,
    recommendations    TEXT NOT NULL,
    kbEntriesGenerated INTEGER NOT NULL
);
