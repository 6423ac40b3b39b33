-- The ledger, whole: budgets, corrections, points that expire, caps of a day, frozen ledgers.

-- A budget is an account of its own, so that it cannot be overspent. SQLite cannot change a CHECK in
-- place; what is stored stays as it is (https://www.sqlite.org/lang_altertable.html, section 7).
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, '''escrow'',''mint''', '''escrow'',''campaign'',''mint''')
  WHERE type = 'table' AND name = 'ledger_account';
PRAGMA writable_schema = RESET;

-- The owner of a budget's account is its number n.
CREATE TABLE campaign(
  community INTEGER NOT NULL REFERENCES community,
  n INTEGER NOT NULL CHECK(n >= 1),
  name TEXT NOT NULL,
  event INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY(community, n),
  UNIQUE(community, name)) WITHOUT ROWID;

-- corrects: the transfer that this one takes back; once each. expires_at: when what arrives expires.
-- day: the local day since 1970 whose caps it counts against.
ALTER TABLE ledger_transfer ADD COLUMN corrects INTEGER REFERENCES ledger_transfer;
ALTER TABLE ledger_transfer ADD COLUMN expires_at INTEGER;
ALTER TABLE ledger_transfer ADD COLUMN day INTEGER;
CREATE UNIQUE INDEX ledger_transfer_corrects ON ledger_transfer(corrects) WHERE corrects IS NOT NULL;
CREATE INDEX ledger_transfer_expires ON ledger_transfer(community) WHERE expires_at IS NOT NULL;
CREATE INDEX ledger_transfer_day ON ledger_transfer(community, day) WHERE day IS NOT NULL;

-- A correction is the mirror of what it corrects.
CREATE TRIGGER ledger_transfer_mirrors BEFORE INSERT ON ledger_transfer
WHEN NEW.corrects IS NOT NULL AND NOT EXISTS(
  SELECT 1 FROM ledger_transfer o WHERE o.id = NEW.corrects AND o.community = NEW.community
    AND o.kind = 'post' AND NEW.kind = 'post' AND o.corrects IS NULL
    AND o.debit = NEW.credit AND o.credit = NEW.debit AND o.amount = NEW.amount)
BEGIN SELECT RAISE(ABORT, 'ledger: a correction mirrors what it corrects'); END;

-- Points of an account that expire at one time. They follow the transfers: what expires first goes
-- first. An empty lot is no lot.
CREATE TABLE ledger_lot(
  community INTEGER NOT NULL,
  account INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  amount INTEGER NOT NULL CHECK(amount >= 0),
  PRIMARY KEY(community, account, expires_at),
  FOREIGN KEY(community, account) REFERENCES ledger_account(community, id)) WITHOUT ROWID;
CREATE TRIGGER ledger_lot_empty AFTER UPDATE ON ledger_lot WHEN NEW.amount = 0
BEGIN
  DELETE FROM ledger_lot WHERE community = NEW.community AND account = NEW.account
    AND expires_at = NEW.expires_at;
END;

-- What was issued, earned, grabbed or sent in a day, and the cap that held.
CREATE TABLE ledger_quota(
  community INTEGER NOT NULL REFERENCES community,
  day INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK(kind IN('minted','earned','grabbed','packets')),
  owner INTEGER NOT NULL,
  amount INTEGER NOT NULL CHECK(amount >= 0),
  cap INTEGER NOT NULL,
  PRIMARY KEY(community, day, kind, owner),
  CHECK(amount <= cap)) WITHOUT ROWID;

-- Ledgers in which something did not hold: nothing moves there until a human has looked.
CREATE TABLE ledger_freeze(
  community INTEGER PRIMARY KEY REFERENCES community,
  at INTEGER NOT NULL,
  reason TEXT NOT NULL);

-- From then on it can be grabbed.
ALTER TABLE packet ADD COLUMN opens_at INTEGER NOT NULL DEFAULT 0;

-- What is set aside is looked for when a community is loaded.
CREATE INDEX ledger_transfer_pending ON ledger_transfer(community) WHERE kind = 'pending';
