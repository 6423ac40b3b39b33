-- Routines: every time at which one was to run, with what became of it. A time is decided once.
CREATE TABLE routine_run(
  community BIGINT NOT NULL REFERENCES community,
  script TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  -- What the cron expression says, on the clock of the community: 2026-11-26T08:00:00.
  local TEXT COLLATE "C" NOT NULL,
  -- 1 for the second of two moments with that time.
  fold BIGINT NOT NULL CHECK(fold IN(0,1)),
  -- The moment, Unix ms, and when it was decided.
  at BIGINT NOT NULL,
  decided_at BIGINT NOT NULL,
  state TEXT NOT NULL CHECK(state IN('ran','missed','skipped')),
  late BIGINT NOT NULL CHECK(late IN(0,1)),
  reason TEXT,
  -- What was posted unasked, which counts against the budget of the day.
  kind TEXT,
  event BIGINT NOT NULL,
  PRIMARY KEY(community, script, name, local, fold));
CREATE INDEX routine_run_at ON routine_run(community, at);

-- Routines that were made by command; those of scripts and of config.toml stand there.
CREATE TABLE routine_made(
  community BIGINT NOT NULL REFERENCES community,
  name TEXT COLLATE "C" NOT NULL,
  cron TEXT NOT NULL,
  text TEXT NOT NULL,
  author BIGINT,
  at BIGINT NOT NULL,
  PRIMARY KEY(community, name));
