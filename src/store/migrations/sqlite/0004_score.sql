-- Activity scores, their log, and core fans. Days are local days since 1970; scores and weights are
-- thousandths of a point.

-- Which counted message of its author's day it is: day * 100 + nth; NULL where it does not count.
ALTER TABLE event ADD COLUMN counted INTEGER;
-- The latest of them, some commits behind like the count of messages.
ALTER TABLE member_tally ADD COLUMN counted INTEGER NOT NULL DEFAULT 0;

-- Scores as of a day, without the author's own messages of that day: those are in
-- member_tally.counted. Changes with the first counted message of a day and with what others give.
-- Bit i of days (hexadecimal): a message counted i days before day. added: by scripts on that day.
CREATE TABLE member_score(
  community INTEGER NOT NULL,
  person INTEGER NOT NULL,
  score INTEGER NOT NULL CHECK(score >= 0),
  day INTEGER NOT NULL,
  days TEXT NOT NULL,
  added INTEGER NOT NULL CHECK(added >= 0),
  PRIMARY KEY(community, person),
  FOREIGN KEY(community, person) REFERENCES member) WITHOUT ROWID;

-- What scores are made of; they say nothing else. A member's own messages are one line a day,
-- written when the day is over for her.
CREATE TABLE score_log(
  community INTEGER NOT NULL,
  person INTEGER NOT NULL,
  day INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK(kind IN('message','reply','like','answer','proposal','host','poll',
    'event','order','invite','other')),
  event INTEGER NOT NULL,
  n INTEGER NOT NULL,
  weight INTEGER NOT NULL CHECK(weight > 0),
  source INTEGER,
  reason TEXT NOT NULL,
  PRIMARY KEY(community, person, day, kind, event, n),
  FOREIGN KEY(community, person) REFERENCES member) WITHOUT ROWID;
CREATE INDEX score_log_done ON score_log(community, day)
  WHERE kind IN('answer','proposal','host','order','invite');
CREATE TRIGGER score_log_fixed BEFORE UPDATE ON score_log
BEGIN SELECT RAISE(ABORT, 'score: the log is never changed'); END;

-- The last day on which somebody (source) answered or liked a member; 0: never. Written once a day
-- for each pair.
CREATE TABLE relation(
  community INTEGER NOT NULL,
  person INTEGER NOT NULL,
  source INTEGER NOT NULL,
  replied INTEGER NOT NULL,
  liked INTEGER NOT NULL,
  PRIMARY KEY(community, person, source),
  FOREIGN KEY(community, person) REFERENCES member,
  CHECK(person <> source)) WITHOUT ROWID;

-- Core fans (since is set) and who is on the way in.
CREATE TABLE core_fan(
  community INTEGER NOT NULL,
  person INTEGER NOT NULL,
  since INTEGER,
  above INTEGER NOT NULL,
  below INTEGER NOT NULL,
  grace_until INTEGER,
  PRIMARY KEY(community, person),
  FOREIGN KEY(community, person) REFERENCES member) WITHOUT ROWID;

-- Weekly evaluations: one a week, by which cut-offs, with what came of it. moved: JSON, the first
-- who moved as [person, entered, score, gate].
CREATE TABLE fan_review(
  community INTEGER NOT NULL REFERENCES community,
  week INTEGER NOT NULL,
  version INTEGER NOT NULL,
  event INTEGER NOT NULL,
  at INTEGER NOT NULL,
  eligible INTEGER NOT NULL,
  eligible_core INTEGER NOT NULL,
  active INTEGER NOT NULL,
  active_core INTEGER NOT NULL,
  entered INTEGER NOT NULL,
  gone INTEGER NOT NULL,
  moved TEXT NOT NULL,
  PRIMARY KEY(community, week)) WITHOUT ROWID;
