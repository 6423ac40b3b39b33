-- SQLite keeps what is not in its tables yet in one of its own; here everything is written at once.
SELECT 1;
