-- Times are Unix milliseconds, ids are numbers handed out by the bot, JSON is text.
-- Constraints have the last word: what they refuse, no code can do.

CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE community(
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE);

CREATE TABLE grp(
  id INTEGER PRIMARY KEY,
  community INTEGER NOT NULL REFERENCES community,
  ref TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL);

CREATE TABLE person(
  id INTEGER PRIMARY KEY,
  created_at INTEGER NOT NULL);

CREATE TABLE account(
  ref TEXT PRIMARY KEY,
  person INTEGER NOT NULL REFERENCES person) WITHOUT ROWID;

CREATE TABLE member(
  community INTEGER NOT NULL REFERENCES community,
  person INTEGER NOT NULL REFERENCES person,
  ref TEXT NOT NULL,
  name TEXT NOT NULL,
  nickname TEXT,
  role TEXT NOT NULL CHECK(role IN('member','mod','admin','owner')),
  trust INTEGER NOT NULL CHECK(trust BETWEEN 0 AND 4),
  is_bot INTEGER NOT NULL CHECK(is_bot IN(0,1)),
  joined_at INTEGER NOT NULL,
  left_at INTEGER,
  active_days INTEGER NOT NULL,
  last_day TEXT NOT NULL,
  tags TEXT NOT NULL,
  PRIMARY KEY(community, person)) WITHOUT ROWID;
CREATE INDEX member_person ON member(person);

-- Messages of each member. Apart from member, because every message changes it, and some commits
-- behind: the count of an author's latest messages is in event.n.
CREATE TABLE member_tally(
  community INTEGER NOT NULL,
  person INTEGER NOT NULL,
  messages INTEGER NOT NULL,
  PRIMARY KEY(community, person)) WITHOUT ROWID;

-- The bot's own accounts, by number in what every message writes.
CREATE TABLE bot_account(
  id INTEGER PRIMARY KEY,
  ref TEXT NOT NULL UNIQUE);

-- What the numbers in event mean, for people who read this file.
CREATE TABLE event_kind(code INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE);
INSERT INTO event_kind(code, word) VALUES
  (0, 'message'), (1, 'edited'), (2, 'deleted'), (3, 'reaction'), (4, 'button'), (5, 'joined'),
  (6, 'left'), (7, 'updated'), (8, 'join_request'), (9, 'silenced'), (10, 'bot_joined'),
  (11, 'bot_left'), (12, 'uploaded'), (13, 'poked'), (14, 'honored'), (15, 'befriended'),
  (16, 'online'), (17, 'gap'), (18, 'tick');
CREATE TABLE event_state(code INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE);
INSERT INTO event_state(code, word) VALUES (0, 'done'), (1, 'waiting'), (2, 'quarantined');

-- What happened: the key that makes a repeat harmless, the archive of messages, and what came of
-- the turn. Numbers grow in the order in which events were received; keys begin with the time where
-- the platform gives one, so that both trees grow at their ends. n is the how manieth message of its
-- author it is, where it counts.
CREATE TABLE event(
  id INTEGER PRIMARY KEY,
  community INTEGER NOT NULL REFERENCES community,
  grp INTEGER,
  person INTEGER,
  account INTEGER NOT NULL,
  key TEXT NOT NULL,
  kind INTEGER NOT NULL,
  at INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  seed INTEGER NOT NULL,
  state INTEGER NOT NULL CHECK(state BETWEEN 0 AND 2),
  n INTEGER,
  text TEXT,
  body TEXT,
  outcome TEXT,
  UNIQUE(account, key));
CREATE INDEX event_waiting ON event(community, id) WHERE state = 1;

-- Commands that were left undone because too much came in, by day since 1970 (UTC).
CREATE TABLE left_undone(day INTEGER PRIMARY KEY, commands INTEGER NOT NULL);

CREATE TABLE ledger_account(
  id INTEGER PRIMARY KEY,
  community INTEGER NOT NULL REFERENCES community,
  kind TEXT NOT NULL CHECK(kind IN('member','escrow','mint','burn')),
  owner INTEGER NOT NULL,
  debits INTEGER NOT NULL DEFAULT 0 CHECK(debits >= 0),
  credits INTEGER NOT NULL DEFAULT 0 CHECK(credits >= 0),
  debits_pending INTEGER NOT NULL DEFAULT 0 CHECK(debits_pending >= 0),
  credits_pending INTEGER NOT NULL DEFAULT 0 CHECK(credits_pending >= 0),
  last_transfer INTEGER NOT NULL DEFAULT 0,
  UNIQUE(community, kind, owner),
  UNIQUE(community, id),
  CHECK(kind = 'mint' OR debits + debits_pending <= credits),
  CHECK(credits - debits BETWEEN -1000000000000000 AND 1000000000000));

CREATE TABLE ledger_transfer(
  id INTEGER PRIMARY KEY,
  community INTEGER NOT NULL,
  debit INTEGER NOT NULL,
  credit INTEGER NOT NULL,
  amount INTEGER NOT NULL CHECK(amount BETWEEN 1 AND 1000000000),
  kind TEXT NOT NULL CHECK(kind IN('post','pending','post_pending','void_pending')),
  pending INTEGER UNIQUE REFERENCES ledger_transfer,
  key TEXT NOT NULL,
  code TEXT NOT NULL,
  reason TEXT NOT NULL,
  actor INTEGER,
  event INTEGER NOT NULL REFERENCES event,
  at INTEGER NOT NULL,
  UNIQUE(community, key),
  CHECK(debit <> credit),
  CHECK((kind IN('post_pending','void_pending')) = (pending IS NOT NULL)),
  FOREIGN KEY(community, debit) REFERENCES ledger_account(community, id),
  FOREIGN KEY(community, credit) REFERENCES ledger_account(community, id));
CREATE INDEX ledger_transfer_debit ON ledger_transfer(debit, id);
CREATE INDEX ledger_transfer_event ON ledger_transfer(event);
CREATE INDEX ledger_transfer_credit ON ledger_transfer(credit, id);

-- Balances follow transfers and nothing else: the update below is the only one that passes
-- ledger_account_balance, because it names the transfer that it applies.
CREATE TRIGGER ledger_transfer_resolves BEFORE INSERT ON ledger_transfer
WHEN NEW.pending IS NOT NULL AND NOT EXISTS(
  SELECT 1 FROM ledger_transfer p WHERE p.id = NEW.pending AND p.kind = 'pending'
    AND p.debit = NEW.debit AND p.credit = NEW.credit AND p.amount = NEW.amount)
BEGIN SELECT RAISE(ABORT, 'ledger: resolves no such pending transfer'); END;

CREATE TRIGGER ledger_transfer_applies AFTER INSERT ON ledger_transfer
BEGIN
  UPDATE ledger_account SET
    debits = debits + CASE WHEN NEW.kind IN('post','post_pending') THEN NEW.amount ELSE 0 END,
    debits_pending = debits_pending + CASE NEW.kind WHEN 'pending' THEN NEW.amount
      WHEN 'post' THEN 0 ELSE -NEW.amount END,
    last_transfer = NEW.id
  WHERE id = NEW.debit;
  UPDATE ledger_account SET
    credits = credits + CASE WHEN NEW.kind IN('post','post_pending') THEN NEW.amount ELSE 0 END,
    credits_pending = credits_pending + CASE NEW.kind WHEN 'pending' THEN NEW.amount
      WHEN 'post' THEN 0 ELSE -NEW.amount END,
    last_transfer = NEW.id
  WHERE id = NEW.credit;
END;

CREATE TRIGGER ledger_account_opens BEFORE INSERT ON ledger_account
WHEN NEW.debits <> 0 OR NEW.credits <> 0 OR NEW.debits_pending <> 0 OR NEW.credits_pending <> 0
  OR NEW.last_transfer <> 0
BEGIN SELECT RAISE(ABORT, 'ledger: an account opens empty'); END;

CREATE TRIGGER ledger_account_balance BEFORE UPDATE ON ledger_account
WHEN NEW.id <> OLD.id OR NEW.community <> OLD.community OR NEW.kind <> OLD.kind
  OR NEW.owner <> OLD.owner OR NEW.last_transfer <= OLD.last_transfer
  OR NOT EXISTS(SELECT 1 FROM ledger_transfer t WHERE t.id = NEW.last_transfer
    AND NEW.debits - OLD.debits = CASE WHEN t.debit = NEW.id
      AND t.kind IN('post','post_pending') THEN t.amount ELSE 0 END
    AND NEW.credits - OLD.credits = CASE WHEN t.credit = NEW.id
      AND t.kind IN('post','post_pending') THEN t.amount ELSE 0 END
    AND NEW.debits_pending - OLD.debits_pending = CASE WHEN t.debit <> NEW.id THEN 0
      WHEN t.kind = 'pending' THEN t.amount WHEN t.kind = 'post' THEN 0 ELSE -t.amount END
    AND NEW.credits_pending - OLD.credits_pending = CASE WHEN t.credit <> NEW.id THEN 0
      WHEN t.kind = 'pending' THEN t.amount WHEN t.kind = 'post' THEN 0 ELSE -t.amount END)
BEGIN SELECT RAISE(ABORT, 'ledger: a balance moves by a transfer only'); END;

CREATE TRIGGER ledger_account_stays BEFORE DELETE ON ledger_account
BEGIN SELECT RAISE(ABORT, 'ledger: accounts are never deleted'); END;
CREATE TRIGGER ledger_transfer_fixed BEFORE UPDATE ON ledger_transfer
BEGIN SELECT RAISE(ABORT, 'ledger: transfers are never changed'); END;
CREATE TRIGGER ledger_transfer_stays BEFORE DELETE ON ledger_transfer
BEGIN SELECT RAISE(ABORT, 'ledger: transfers are never deleted'); END;

CREATE TABLE packet(
  id INTEGER PRIMARY KEY,
  community INTEGER NOT NULL REFERENCES community,
  grp INTEGER NOT NULL REFERENCES grp,
  sender INTEGER NOT NULL REFERENCES person,
  mode TEXT NOT NULL CHECK(mode IN('lucky','equal')),
  total INTEGER NOT NULL CHECK(total > 0),
  count INTEGER NOT NULL CHECK(count BETWEEN 1 AND 200),
  wish TEXT NOT NULL,
  seed TEXT NOT NULL,
  commitment TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  state TEXT NOT NULL CHECK(state IN('open','exhausted','refunded')),
  CHECK(total >= count));
CREATE INDEX packet_community ON packet(community, state, id);

CREATE TABLE packet_share(
  packet INTEGER NOT NULL REFERENCES packet,
  n INTEGER NOT NULL,
  amount INTEGER NOT NULL CHECK(amount >= 1),
  person INTEGER REFERENCES person,
  taken_at INTEGER,
  PRIMARY KEY(packet, n),
  UNIQUE(packet, person),
  CHECK((person IS NULL) = (taken_at IS NULL))) WITHOUT ROWID;

CREATE TRIGGER packet_ends_once BEFORE UPDATE OF state ON packet
WHEN OLD.state <> 'open' AND NEW.state <> OLD.state
BEGIN SELECT RAISE(ABORT, 'packet: has ended'); END;
CREATE TRIGGER packet_fixed BEFORE UPDATE OF total, count, sender, seed, commitment ON packet
WHEN NEW.total <> OLD.total OR NEW.count <> OLD.count OR NEW.sender <> OLD.sender
  OR NEW.seed <> OLD.seed OR NEW.commitment <> OLD.commitment
BEGIN SELECT RAISE(ABORT, 'packet: is cut once'); END;
CREATE TRIGGER packet_share_taken BEFORE UPDATE ON packet_share
WHEN OLD.person IS NOT NULL OR NEW.amount <> OLD.amount OR NEW.packet <> OLD.packet
  OR NEW.n <> OLD.n
BEGIN SELECT RAISE(ABORT, 'packet: a share is taken once'); END;

CREATE TABLE checkin(
  community INTEGER NOT NULL,
  person INTEGER NOT NULL,
  day TEXT NOT NULL,
  streak INTEGER NOT NULL CHECK(streak >= 1),
  ordinal INTEGER NOT NULL CHECK(ordinal >= 1),
  PRIMARY KEY(community, person, day),
  FOREIGN KEY(community, person) REFERENCES member) WITHOUT ROWID;
CREATE UNIQUE INDEX checkin_ordinal ON checkin(community, day, ordinal);

CREATE TABLE rule_version(
  community INTEGER NOT NULL REFERENCES community,
  version INTEGER NOT NULL CHECK(version >= 1),
  text TEXT NOT NULL,
  author INTEGER,
  at INTEGER NOT NULL,
  PRIMARY KEY(community, version)) WITHOUT ROWID;

CREATE TABLE rule_ack(
  community INTEGER NOT NULL,
  person INTEGER NOT NULL,
  version INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY(community, person, version),
  FOREIGN KEY(community, version) REFERENCES rule_version,
  FOREIGN KEY(community, person) REFERENCES member) WITHOUT ROWID;

CREATE TABLE warning(
  community INTEGER NOT NULL,
  person INTEGER NOT NULL,
  event INTEGER NOT NULL,
  n INTEGER NOT NULL,
  reason TEXT NOT NULL,
  weight INTEGER NOT NULL CHECK(weight >= 1),
  script TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY(community, person, event, n),
  FOREIGN KEY(community, person) REFERENCES member) WITHOUT ROWID;

CREATE TABLE script_state(
  community INTEGER NOT NULL REFERENCES community,
  script TEXT NOT NULL,
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY(community, script, scope, key)) WITHOUT ROWID;

CREATE TABLE timer(
  id INTEGER PRIMARY KEY,
  community INTEGER NOT NULL REFERENCES community,
  grp INTEGER,
  script TEXT NOT NULL,
  name TEXT NOT NULL,
  due INTEGER NOT NULL,
  data TEXT NOT NULL);
CREATE INDEX timer_community ON timer(community);
CREATE INDEX timer_due ON timer(due);

CREATE TABLE delivery(
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,
  event INTEGER NOT NULL,
  community INTEGER NOT NULL REFERENCES community,
  script TEXT,
  account TEXT NOT NULL,
  dest TEXT NOT NULL,
  call TEXT NOT NULL,
  slot TEXT,
  body TEXT NOT NULL,
  policy TEXT NOT NULL CHECK(policy IN('retry','drop')),
  state TEXT NOT NULL
    CHECK(state IN('queued','sending','sent','failed','unknown','skipped')),
  reason TEXT,
  not_before INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  platform_id TEXT);
CREATE INDEX delivery_open ON delivery(id) WHERE state IN('queued','sending');
CREATE INDEX delivery_slot ON delivery(dest, slot, id) WHERE slot IS NOT NULL;
CREATE INDEX delivery_message ON delivery(dest, platform_id) WHERE slot IS NOT NULL;
CREATE TRIGGER delivery_ends_once BEFORE UPDATE OF state ON delivery
WHEN OLD.state IN('sent','failed','skipped') AND NEW.state <> OLD.state
BEGIN SELECT RAISE(ABORT, 'delivery: has ended'); END;

CREATE TABLE audit(
  id INTEGER PRIMARY KEY,
  event INTEGER NOT NULL,
  community INTEGER NOT NULL REFERENCES community,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  object TEXT NOT NULL,
  detail TEXT NOT NULL);
CREATE TRIGGER audit_fixed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'audit: lines are never changed'); END;
