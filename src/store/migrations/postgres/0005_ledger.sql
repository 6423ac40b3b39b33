-- The ledger, whole: budgets, corrections, points that expire, caps of a day, frozen ledgers.

-- A budget is an account of its own, so that it cannot be overspent.
ALTER TABLE ledger_account DROP CONSTRAINT ledger_account_kind_check;
ALTER TABLE ledger_account ADD CONSTRAINT ledger_account_kind_check
  CHECK(kind IN('member','escrow','campaign','mint','burn'));

-- The owner of a budget's account is its number n.
CREATE TABLE campaign(
  community BIGINT NOT NULL REFERENCES community,
  n BIGINT NOT NULL CHECK(n >= 1),
  name TEXT COLLATE "C" NOT NULL,
  event BIGINT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY(community, n),
  UNIQUE(community, name));

-- corrects: the transfer that this one takes back; once each. expires_at: when what arrives expires.
-- day: the local day since 1970 whose caps it counts against.
ALTER TABLE ledger_transfer ADD COLUMN corrects BIGINT REFERENCES ledger_transfer;
ALTER TABLE ledger_transfer ADD COLUMN expires_at BIGINT;
ALTER TABLE ledger_transfer ADD COLUMN day BIGINT;
CREATE UNIQUE INDEX ledger_transfer_corrects ON ledger_transfer(corrects) WHERE corrects IS NOT NULL;
CREATE INDEX ledger_transfer_expires ON ledger_transfer(community) WHERE expires_at IS NOT NULL;
CREATE INDEX ledger_transfer_day ON ledger_transfer(community, day) WHERE day IS NOT NULL;

-- A correction is the mirror of what it corrects.
CREATE FUNCTION ledger_transfer_mirrors() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS(SELECT 1 FROM ledger_transfer o WHERE o.id = NEW.corrects
      AND o.community = NEW.community AND o.kind = 'post' AND NEW.kind = 'post'
      AND o.corrects IS NULL AND o.debit = NEW.credit AND o.credit = NEW.debit
      AND o.amount = NEW.amount) THEN
    RAISE EXCEPTION 'ledger: a correction mirrors what it corrects'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER ledger_transfer_mirrors BEFORE INSERT ON ledger_transfer
FOR EACH ROW WHEN (NEW.corrects IS NOT NULL) EXECUTE FUNCTION ledger_transfer_mirrors();

-- Points of an account that expire at one time. They follow the transfers: what expires first goes
-- first. An empty lot is no lot.
CREATE TABLE ledger_lot(
  community BIGINT NOT NULL,
  account BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  amount BIGINT NOT NULL CHECK(amount >= 0),
  PRIMARY KEY(community, account, expires_at),
  FOREIGN KEY(community, account) REFERENCES ledger_account(community, id));
CREATE FUNCTION ledger_lot_empty() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM ledger_lot WHERE community = NEW.community AND account = NEW.account
    AND expires_at = NEW.expires_at;
  RETURN NULL;
END $$;
CREATE TRIGGER ledger_lot_empty AFTER UPDATE ON ledger_lot
FOR EACH ROW WHEN (NEW.amount = 0) EXECUTE FUNCTION ledger_lot_empty();

-- What was issued, earned, grabbed or sent in a day, and the cap that held.
CREATE TABLE ledger_quota(
  community BIGINT NOT NULL REFERENCES community,
  day BIGINT NOT NULL,
  kind TEXT COLLATE "C" NOT NULL CHECK(kind IN('minted','earned','grabbed','packets')),
  owner BIGINT NOT NULL,
  amount BIGINT NOT NULL CHECK(amount >= 0),
  cap BIGINT NOT NULL,
  PRIMARY KEY(community, day, kind, owner),
  CHECK(amount <= cap)) WITH (fillfactor = 70);

-- Ledgers in which something did not hold: nothing moves there until a human has looked.
CREATE TABLE ledger_freeze(
  community BIGINT PRIMARY KEY REFERENCES community,
  at BIGINT NOT NULL,
  reason TEXT NOT NULL);

-- From then on it can be grabbed.
ALTER TABLE packet ADD COLUMN opens_at BIGINT NOT NULL DEFAULT 0;

-- What is set aside is looked for when a community is loaded.
CREATE INDEX ledger_transfer_pending ON ledger_transfer(community) WHERE kind = 'pending';
