-- Accounts and members of a rush, many in a line, until they are in their tables: its number
-- and {"accounts": [...], "members": [...]}, in the order in which they came.
CREATE TABLE late(
  n INTEGER PRIMARY KEY,
  line TEXT NOT NULL);
