//! Statements of the group commit. What every message writes is bound in bulk; the rows of other
//! tables come as one JSON array and are spread by `json_each`.

use super::bulk::Bulk;
use super::trip::Trip;

/// One statement for each table, in an order that satisfies the foreign keys.
const COMMUNITY: &str = "INSERT INTO community(id, key)
  SELECT value->>'id', value->>'key' FROM jsonb_each(?) WHERE true ON CONFLICT DO NOTHING";
const GROUP: &str = "INSERT INTO grp(id, community, ref, name)
  SELECT value->>'id', value->>'community', value->>'reference', value->>'name'
  FROM jsonb_each(?) WHERE true ON CONFLICT DO NOTHING";
const PERSON: &str = "INSERT INTO person(id, created_at)
  SELECT value->>'id', value->>'at' FROM jsonb_each(?) WHERE true ON CONFLICT DO NOTHING";
pub(super) const ACCOUNT: &str = "INSERT INTO account(ref, person)
  SELECT value->>0, value->>1 FROM jsonb_each(?) WHERE true ON CONFLICT(ref) DO NOTHING";
pub(super) const MEMBER: &str =
    "INSERT INTO member(community, person, ref, name, nickname, role, trust, is_bot,
    joined_at, left_at, active_days, last_day, tags)
  SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7,
    value->>8, value->>9, value->>10, value->>11, value->>12
  FROM jsonb_each(?) WHERE true
  ON CONFLICT(community, person) DO UPDATE SET ref = excluded.ref, name = excluded.name,
    nickname = excluded.nickname, role = excluded.role, trust = excluded.trust,
    is_bot = excluded.is_bot, joined_at = excluded.joined_at, left_at = excluded.left_at,
    active_days = excluded.active_days, last_day = excluded.last_day, tags = excluded.tags";
pub(super) static TOUCH: Bulk = Bulk::new(
    "INSERT INTO member_tally(community, person, messages, counted)",
    4,
    "ON CONFLICT(community, person) DO UPDATE SET messages = max(messages, excluded.messages),
    counted = max(counted, excluded.counted)",
);
pub(super) static EVENT: Bulk = Bulk::new(
    "INSERT INTO event(id, community, grp, person, account, key, kind, at, received_at, seed,
    state, n, text, body, outcome, counted)",
    16,
    "ON CONFLICT(id) DO UPDATE SET state = excluded.state, n = excluded.n, text = excluded.text,
    body = excluded.body, outcome = excluded.outcome, counted = excluded.counted",
);
const LEFT_UNDONE: &str = "INSERT INTO left_undone(day, commands)
  SELECT value->>0, value->>1 FROM json_each(?) WHERE true
  ON CONFLICT(day) DO UPDATE SET commands = commands + excluded.commands";
/// A line begins with its number.
const LATE: &str = "INSERT INTO late(n, line) SELECT CAST(line AS INTEGER), line
  FROM (SELECT ? AS line) WHERE line <> '[]'";
/// Up to this number.
pub(super) const LATE_GONE: &str = "DELETE FROM late WHERE n <= CAST(? AS INTEGER)";
const LEDGER_ACCOUNT: &str = "INSERT INTO ledger_account(id, community, kind, owner)
  SELECT value->>'id', value->>'community', value->>'kind', value->>'owner' FROM json_each(?)";
const TRANSFER: &str = "INSERT INTO ledger_transfer(id, community, debit, credit, amount, kind,
    pending, key, code, reason, actor, event, at, corrects, expires_at, day)
  SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7,
    value->>8, value->>9, value->>10, value->>11, value->>12, value->>13, value->>14,
    value->>15 FROM json_each(?)";
const LOT: &str = "INSERT INTO ledger_lot(community, account, expires_at, amount)
  SELECT value->>'community', value->>'account', value->>'expires_at', value->>'amount'
  FROM json_each(?) WHERE true
  ON CONFLICT(community, account, expires_at) DO UPDATE SET amount = excluded.amount";
const QUOTA: &str = "INSERT INTO ledger_quota(community, day, kind, owner, amount, cap)
  SELECT value->>'community', value->>'day', value->>'kind', value->>'owner', value->>'amount',
    value->>'cap' FROM json_each(?) WHERE true
  ON CONFLICT(community, day, kind, owner) DO UPDATE
    SET amount = ledger_quota.amount + excluded.amount, cap = excluded.cap";
const CAMPAIGN: &str = "INSERT INTO campaign(community, n, name, event, at)
  SELECT value->>'community', value->>'n', value->>'name', value->>'event', value->>'at'
  FROM json_each(?)";
const PACKET: &str =
    "INSERT INTO packet(id, community, grp, sender, mode, total, count, wish, seed,
    commitment, created_at, opens_at, expires_at, state)
  SELECT value->>'id', value->>'community', value->>'group', value->>'sender', value->>'mode',
    value->>'total', value->>'count', value->>'wish', value->>'seed', value->>'commitment',
    value->>'created_at', value->>'opens_at', value->>'expires_at', value->>'state'
  FROM json_each(?) WHERE true ON CONFLICT(id) DO UPDATE SET state = excluded.state";
const SHARE: &str = "INSERT INTO packet_share(packet, n, amount, person, taken_at)
  SELECT value->>'packet', value->>'n', value->>'amount', value->>'person', value->>'taken_at'
  FROM json_each(?) WHERE true
  ON CONFLICT(packet, n) DO UPDATE SET person = excluded.person, taken_at = excluded.taken_at";
const CHECKIN: &str = "INSERT INTO checkin(community, person, day, streak, ordinal)
  SELECT value->>'community', value->>'person', value->>'day', value->>'streak',
    value->>'ordinal' FROM json_each(?)";
const RULE_VERSION: &str = "INSERT INTO rule_version(community, version, text, author, at)
  SELECT value->>'community', value->>'version', value->>'text', value->>'author', value->>'at'
  FROM json_each(?)";
const RULE_ACK: &str = "INSERT INTO rule_ack(community, person, version, at)
  SELECT value->>'community', value->>'person', value->>'version', value->>'at'
  FROM json_each(?)";
const WARNING: &str = "INSERT INTO warning(community, person, event, n, reason, weight, script, at)
  SELECT value->>'community', value->>'person', value->>'event', value->>'n', value->>'reason',
    value->>'weight', value->>'script', value->>'at' FROM json_each(?)";
const STATE_SET: &str = "INSERT INTO script_state(community, script, scope, key, value)
  SELECT value->>'community', value->>'script', value->>'scope', value->>'key', value->>'value'
  FROM json_each(?) WHERE true
  ON CONFLICT(community, script, scope, key) DO UPDATE SET value = excluded.value";
const STATE_REMOVE: &str = "DELETE FROM script_state WHERE (community, script, scope, key) IN
  (SELECT value->>'community', value->>'script', value->>'scope', value->>'key'
   FROM json_each(?))";
const TIMER: &str = "INSERT INTO timer(id, community, grp, script, name, due, data)
  SELECT value->>'id', value->>'community', value->>'group', value->>'script', value->>'name',
    value->>'due', value->>'data' FROM json_each(?)";
const TIMER_GONE: &str = "DELETE FROM timer WHERE id IN (SELECT value FROM json_each(?))";
pub(super) static DELIVERY: Bulk = Bulk::new(
    "INSERT INTO delivery(id, key, event, community, script, account, dest, call, slot, body,
    policy, state, reason, not_before, expires_at, attempts, platform_id)",
    17,
    "",
);
pub(super) static SETTLE: Bulk = Bulk::new(
    "WITH s(id, state, reason, attempts, platform_id) AS (",
    5,
    ") UPDATE delivery SET state = s.state, reason = s.reason, attempts = s.attempts,
    platform_id = coalesce(s.platform_id, delivery.platform_id) FROM s WHERE delivery.id = s.id",
);
const POSTED: &str = "INSERT INTO news_posted(community, item, title, event, at)
  SELECT value->>'community', value->>'item', value->>'title', value->>'event', value->>'at'
  FROM json_each(?)";
const RUN: &str = "INSERT INTO routine_run(community, script, name, local, fold, at, decided_at,
    state, late, reason, kind, event)
  SELECT value->>'community', value->>'script', value->>'name', value->>'local', value->>'fold',
    value->>'at', value->>'decided_at', value->>'state', value->>'late', value->>'reason',
    value->>'kind', value->>'event' FROM json_each(?)";
const MADE: &str = "INSERT INTO routine_made(community, name, cron, text, author, at)
  SELECT value->>'community', value->>'name', value->>'cron', value->>'text', value->>'author',
    value->>'at' FROM json_each(?) WHERE value->>'cron' IS NOT NULL
  ON CONFLICT(community, name) DO UPDATE SET cron = excluded.cron, text = excluded.text,
    author = excluded.author, at = excluded.at";
const UNMADE: &str = "DELETE FROM routine_made WHERE (community, name) IN
  (SELECT value->>'community', value->>'name' FROM json_each(?) WHERE value->>'cron' IS NULL)";
pub(super) const AUDIT: &str =
    "INSERT INTO audit(n, at, actor, action, digest, hash, salt, payload)
  SELECT value->>'n', value->>'at', value->>'actor', value->>'action', value->>'digest',
    value->>'hash', value->>'salt', value->>'payload' FROM json_each(?)";
const FORGETTING: &str = "INSERT INTO forgetting(person, community, event, at)
  SELECT value->>'person', value->>'community', value->>'event', value->>'at'
  FROM json_each(?)";

const SCORE: &str = "INSERT INTO member_score(community, person, score, day, days, added)
  SELECT value->>'community', value->>'person', value->>'score', value->>'day', value->>'days',
    value->>'added' FROM json_each(?) WHERE true
  ON CONFLICT(community, person) DO UPDATE SET score = excluded.score, day = excluded.day,
    days = excluded.days, added = excluded.added";
const SCORE_LOG: &str = "INSERT INTO score_log(community, person, day, kind, event, n, weight,
    source, reason)
  SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7,
    value->>8 FROM json_each(?)";
const RELATION: &str = "INSERT INTO relation(community, person, source, replied, liked)
  SELECT value->>'community', value->>'person', value->>'source', value->>'replied',
    value->>'liked' FROM json_each(?) WHERE true
  ON CONFLICT(community, person, source) DO UPDATE SET
    replied = max(replied, excluded.replied), liked = max(liked, excluded.liked)";
const CORE_FAN: &str = "INSERT INTO core_fan(community, person, since, above, below, grace_until)
  SELECT value->>'community', value->>'person', value->>'since', value->>'above',
    value->>'below', value->>'grace_until' FROM json_each(?) WHERE true
  ON CONFLICT(community, person) DO UPDATE SET since = excluded.since, above = excluded.above,
    below = excluded.below, grace_until = excluded.grace_until";
const FAN_REVIEW: &str = "INSERT INTO fan_review(community, week, version, event, at, eligible,
    eligible_core, active, active_core, entered, gone, moved)
  SELECT value->>'community', value->>'week', value->>'version', value->>'event', value->>'at',
    value->>'eligible', value->>'eligible_core', value->>'active', value->>'active_core',
    value->>'entered', value->>'gone', value->>'moved' FROM json_each(?)";

/// Which of the keys `[account, key]` are there: places in the list.
pub(super) const KNOWN: &str = "SELECT k.key FROM json_each($1) k
    WHERE EXISTS(SELECT 1 FROM event e WHERE e.account = k.value->>0 AND e.key = k.value->>1)";
pub(super) const PERSONS: &str =
    "SELECT a.person FROM json_each($1) k LEFT JOIN account a ON a.ref = k.value ORDER BY k.key";
pub(super) const TIMERS_OF: &str = "SELECT due, id, community FROM timer
    WHERE script IN (SELECT value FROM json_each($1)) AND name <> $2 ORDER BY due, id";
/// The index is small, and the planner does not know it.
pub(super) const DONE: &str =
    "SELECT person, kind, count(*) FROM score_log INDEXED BY score_log_done
    WHERE community = $1 AND day >= $2
      AND kind IN('answer','proposal','host','order','invite') GROUP BY person, kind";
pub(super) const NEWS_ITEMS: &str =
    "INSERT INTO news_item(source, item, place, title, url, published_at, seen_at)
  SELECT value->>'source', value->>'item', value->>'place', value->>'title', value->>'url',
    value->>'published_at', value->>'seen_at' FROM json_each($1)";
/// What is checked of the file itself.
pub(super) const FILE_CHECKS: &[&str] = &[
    "SELECT 'file: ' || integrity_check FROM pragma_integrity_check
     WHERE integrity_check <> 'ok'",
    "SELECT 'file: a row of ' || \"table\" || ' points to nothing in ' || parent
     FROM pragma_foreign_key_check",
];

/// Decisions come as JSON, in a commit or by themselves.
pub(super) const DECIDE: &str = "UPDATE delivery SET state = v.value->>'state',
    reason = v.value->>'reason', attempts = 0,
    expires_at = coalesce(v.value->>'expires_at', delivery.expires_at)
  FROM json_each(?) v WHERE delivery.id = v.value->>'delivery' AND delivery.state = 'unknown'";
/// Deliveries of a list.
pub(super) const AMONG_KEYS: &str = "key IN (SELECT value FROM json_each($1))";
pub(super) const AMONG_IDS: &str = "id IN (SELECT value FROM json_each($1))";

/// Every transfer since the first that expires; the index by community is no help.
pub(super) const MOVED: &str = "SELECT debit, credit, amount, expires_at, at
    FROM ledger_transfer NOT INDEXED
    WHERE id >= $2 AND community = $1 AND kind IN('post','post_pending') ORDER BY id";

/// Lines of before the chain, with chance for each.
pub(super) const BEFORE_IS_THERE: &str = "SELECT 1 FROM sqlite_master WHERE name = 'audit_before'";
pub(super) const BEFORE: &str =
    "SELECT event, community, at, actor, action, object, detail, randomblob(16)
    FROM audit_before ORDER BY id";
/// Lines of the audit log together, as one JSON text.
pub(super) const AUDIT_PAGE: &str =
    "SELECT json_group_array(json_array(n, at, actor, action, digest, hash, salt, payload))
    FROM (SELECT * FROM audit WHERE n > $1 ORDER BY n LIMIT $2)";
/// Lines of the audit log that are about a person, or by her.
pub(super) const AUDIT_MINE: &str = "SELECT n, at, actor, action, payload FROM audit
    WHERE payload->>'by' = $1 OR payload->>'about' = $1 ORDER BY n";
pub(super) const AUDIT_ERASE: &str = "UPDATE audit SET salt = NULL, payload = NULL
    WHERE payload->>'by' = $1 OR payload->>'about' = $1";
/// Keys begin with the time, by which the latest is found.
pub(super) const KEY_GONE: &str =
    "UPDATE event SET key = substr(key, 1, instr(key, ':')) || 'forgotten:' || id WHERE id = $1";

/// Whether a column contains one of the words of `$1`.
pub(super) fn names_one_of(column: &str) -> String {
    format!("EXISTS(SELECT 1 FROM json_each($1) w WHERE instr({column}, w.value) > 0)")
}

/// Places in [`FIRST`].
pub(super) const AT_ACCOUNT: usize = 3;
pub(super) const AT_MEMBER: usize = 4;
/// What few batches write, before the events and after them.
pub(super) const FIRST: [&str; 8] =
    [COMMUNITY, GROUP, PERSON, ACCOUNT, MEMBER, LEFT_UNDONE, LATE, LATE_GONE];
pub(super) const LAST: [&str; 27] = [
    LEDGER_ACCOUNT,
    TRANSFER,
    LOT,
    QUOTA,
    CAMPAIGN,
    PACKET,
    SHARE,
    CHECKIN,
    RULE_VERSION,
    RULE_ACK,
    WARNING,
    STATE_SET,
    STATE_REMOVE,
    TIMER,
    TIMER_GONE,
    POSTED,
    RUN,
    MADE,
    UNMADE,
    AUDIT,
    FORGETTING,
    SCORE,
    SCORE_LOG,
    RELATION,
    CORE_FAN,
    FAN_REVIEW,
    DECIDE,
];
/// Everything, in an order that satisfies the foreign keys. A delivery stands before its outcome,
/// which may come with it.
pub(super) static TRIP: Trip = Trip::new([&FIRST, &LAST], [&TOUCH, &EVENT, &DELIVERY, &SETTLE]);
