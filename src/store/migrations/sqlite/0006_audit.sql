-- The audit log as a chain, and what it takes to forget a person.

-- Lines of before have no place in a chain yet; the first start takes them in and drops this.
ALTER TABLE audit RENAME TO audit_before;
DROP TRIGGER audit_fixed;

-- hash is SHA-256 over the hash before it, n, at, actor, action and digest; digest is SHA-256 over
-- salt and payload. Both are hexadecimal. Salt and payload can be erased and the chain still holds;
-- without the salt nobody can guess what stood there.
CREATE TABLE audit(
  n INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  -- A script with its revision, person:7, core, or operator; never a name.
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  digest TEXT NOT NULL,
  hash TEXT NOT NULL,
  salt TEXT,
  -- JSON: event, community, by, about, object, detail.
  payload TEXT,
  CHECK((salt IS NULL) = (payload IS NULL)));
CREATE TRIGGER audit_follows BEFORE INSERT ON audit
WHEN NEW.n <> (SELECT coalesce(max(n), 0) + 1 FROM audit)
BEGIN SELECT RAISE(ABORT, 'audit: lines are numbered without gaps'); END;
CREATE TRIGGER audit_fixed BEFORE UPDATE ON audit
WHEN NEW.n <> OLD.n OR NEW.at <> OLD.at OR NEW.actor <> OLD.actor OR NEW.action <> OLD.action
  OR NEW.digest <> OLD.digest OR NEW.hash <> OLD.hash OR NEW.payload IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'audit: lines are never changed, only their payload erased'); END;
CREATE TRIGGER audit_stays BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'audit: lines are never deleted'); END;

-- Who asked to be forgotten; gone when it is done. With a community: only what she wrote
-- there up to this event.
CREATE TABLE forgetting(
  id INTEGER PRIMARY KEY,
  person INTEGER NOT NULL,
  community INTEGER,
  event INTEGER NOT NULL,
  at INTEGER NOT NULL);

-- A reason is what somebody wrote, so it can be taken back; what moved cannot.
DROP TRIGGER ledger_transfer_fixed;
CREATE TRIGGER ledger_transfer_fixed BEFORE UPDATE ON ledger_transfer
WHEN NEW.id <> OLD.id OR NEW.community <> OLD.community OR NEW.debit <> OLD.debit
  OR NEW.credit <> OLD.credit OR NEW.amount <> OLD.amount OR NEW.kind <> OLD.kind
  OR NEW.pending IS NOT OLD.pending OR NEW.code <> OLD.code OR NEW.actor IS NOT OLD.actor
  OR NEW.event <> OLD.event OR NEW.at <> OLD.at OR NEW.corrects IS NOT OLD.corrects
  OR NEW.expires_at IS NOT OLD.expires_at OR NEW.day IS NOT OLD.day
  OR (NEW.reason <> OLD.reason AND NEW.reason <> '')
  OR (NEW.key <> OLD.key AND NEW.key <> 'forgotten:' || OLD.id)
BEGIN SELECT RAISE(ABORT, 'ledger: transfers are never changed'); END;
DROP TRIGGER score_log_fixed;
CREATE TRIGGER score_log_fixed BEFORE UPDATE ON score_log
WHEN NEW.community <> OLD.community OR NEW.person <> OLD.person OR NEW.day <> OLD.day
  OR NEW.kind <> OLD.kind OR NEW.event <> OLD.event OR NEW.n <> OLD.n OR NEW.weight <> OLD.weight
  OR NEW.source IS NOT OLD.source OR (NEW.reason <> OLD.reason AND NEW.reason <> '')
BEGIN SELECT RAISE(ABORT, 'score: the log is never changed'); END;
