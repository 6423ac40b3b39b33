-- Activity scores, their log, and core fans. Days are local days since 1970; scores and weights are
-- thousandths of a point.

-- Which counted message of its author's day it is: day * 100 + nth; NULL where it does not count.
ALTER TABLE event ADD COLUMN counted BIGINT;
-- The latest of them, some commits behind like the count of messages.
ALTER TABLE member_tally ADD COLUMN counted BIGINT NOT NULL DEFAULT 0;

-- Scores as of a day, without the author's own messages of that day: those are in
-- member_tally.counted. Changes with the first counted message of a day and with what others give.
-- Bit i of days (hexadecimal): a message counted i days before day. added: by scripts on that day.
CREATE TABLE member_score(
  community BIGINT NOT NULL,
  person BIGINT NOT NULL,
  score BIGINT NOT NULL CHECK(score >= 0),
  day BIGINT NOT NULL,
  days TEXT NOT NULL,
  added BIGINT NOT NULL CHECK(added >= 0),
  PRIMARY KEY(community, person),
  FOREIGN KEY(community, person) REFERENCES member);

-- What scores are made of; they say nothing else. A member's own messages are one line a day,
-- written when the day is over for her.
CREATE TABLE score_log(
  community BIGINT NOT NULL,
  person BIGINT NOT NULL,
  day BIGINT NOT NULL,
  kind TEXT COLLATE "C" NOT NULL CHECK(kind IN('message','reply','like','answer','proposal','host','poll',
    'event','order','invite','other')),
  event BIGINT NOT NULL,
  n BIGINT NOT NULL,
  weight BIGINT NOT NULL CHECK(weight > 0),
  source BIGINT,
  reason TEXT NOT NULL,
  PRIMARY KEY(community, person, day, kind, event, n),
  FOREIGN KEY(community, person) REFERENCES member);
CREATE INDEX score_log_done ON score_log(community, day)
  WHERE kind IN('answer','proposal','host','order','invite');
CREATE TRIGGER score_log_fixed BEFORE UPDATE ON score_log
FOR EACH ROW EXECUTE FUNCTION refuse('score: the log is never changed');

-- The last day on which somebody (source) answered or liked a member; 0: never. Written once a day
-- for each pair.
CREATE TABLE relation(
  community BIGINT NOT NULL,
  person BIGINT NOT NULL,
  source BIGINT NOT NULL,
  replied BIGINT NOT NULL,
  liked BIGINT NOT NULL,
  PRIMARY KEY(community, person, source),
  FOREIGN KEY(community, person) REFERENCES member,
  CHECK(person <> source));

-- Core fans (since is set) and who is on the way in.
CREATE TABLE core_fan(
  community BIGINT NOT NULL,
  person BIGINT NOT NULL,
  since BIGINT,
  above BIGINT NOT NULL,
  below BIGINT NOT NULL,
  grace_until BIGINT,
  PRIMARY KEY(community, person),
  FOREIGN KEY(community, person) REFERENCES member);

-- Weekly evaluations: one a week, by which cut-offs, with what came of it. moved: JSON, the first
-- who moved as [person, entered, score, gate].
CREATE TABLE fan_review(
  community BIGINT NOT NULL REFERENCES community,
  week BIGINT NOT NULL,
  version BIGINT NOT NULL,
  event BIGINT NOT NULL,
  at BIGINT NOT NULL,
  eligible BIGINT NOT NULL,
  eligible_core BIGINT NOT NULL,
  active BIGINT NOT NULL,
  active_core BIGINT NOT NULL,
  entered BIGINT NOT NULL,
  gone BIGINT NOT NULL,
  moved TEXT NOT NULL,
  PRIMARY KEY(community, week));
