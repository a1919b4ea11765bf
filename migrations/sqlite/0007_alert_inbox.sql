-- Alerts of one group a row, as they are written when groups follow one another: on the disk at once,
-- in the table of alerts and its indexes many at a time.
CREATE TABLE alert_inbox (
    writes TEXT NOT NULL
);
