-- A repeat moves the time of an alert's last receipt on: with an index by that it wrote two pages more.
DROP INDEX alerts_receipt;
