//! Statements of the group commit on PostgreSQL, and the few questions that are worded differently.
//!
//! What every message writes comes as arrays, one a column; the rows of other tables come as one JSON
//! array. A statement may meet a row once only, so where a batch says a thing twice the last word is
//! picked out (`DISTINCT ON`).

const COMMUNITY: &str = "INSERT INTO community(id, key)
  SELECT (v->>'id')::bigint, v->>'key' FROM jsonb_array_elements($1::jsonb) r(v)
  ON CONFLICT DO NOTHING";
const GROUP: &str = "INSERT INTO grp(id, community, ref, name)
  SELECT (v->>'id')::bigint, (v->>'community')::bigint, v->>'reference', v->>'name'
  FROM jsonb_array_elements($1::jsonb) r(v) ON CONFLICT DO NOTHING";
const PERSON: &str = "INSERT INTO person(id, created_at)
  SELECT (v->>'id')::bigint, (v->>'at')::bigint FROM jsonb_array_elements($1::jsonb) r(v)
  ON CONFLICT DO NOTHING";
const ACCOUNT: &str = "INSERT INTO account(ref, person)
  SELECT v->>0, (v->>1)::bigint FROM jsonb_array_elements($1::jsonb) r(v)
  ON CONFLICT(ref) DO NOTHING";
const MEMBER: &str = "INSERT INTO member(community, person, ref, name, nickname, role, trust,
    is_bot, joined_at, left_at, active_days, last_day, tags)
  SELECT DISTINCT ON (1, 2) (v->>0)::bigint, (v->>1)::bigint, v->>2, v->>3, v->>4, v->>5,
    (v->>6)::bigint, (v->>7)::bigint, (v->>8)::bigint, (v->>9)::bigint, (v->>10)::bigint, v->>11,
    v->>12
  FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY r(v, n) ORDER BY 1, 2, n DESC
  ON CONFLICT(community, person) DO UPDATE SET ref = excluded.ref, name = excluded.name,
    nickname = excluded.nickname, role = excluded.role, trust = excluded.trust,
    is_bot = excluded.is_bot, joined_at = excluded.joined_at, left_at = excluded.left_at,
    active_days = excluded.active_days, last_day = excluded.last_day, tags = excluded.tags";
const LEFT_UNDONE: &str = "INSERT INTO left_undone(day, commands)
  SELECT (v->>0)::bigint, (v->>1)::bigint FROM jsonb_array_elements($1::jsonb) r(v)
  ON CONFLICT(day) DO UPDATE SET commands = left_undone.commands + excluded.commands";

pub(super) const TOUCH: &str = "INSERT INTO member_tally(community, person, messages, counted)
  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
  ON CONFLICT(community, person) DO UPDATE SET
    messages = greatest(member_tally.messages, excluded.messages),
    counted = greatest(member_tally.counted, excluded.counted)";
pub(super) const EVENT: &str = "INSERT INTO event(id, community, grp, person, account, key, kind,
    at, received_at, seed, state, n, text, body, outcome, counted)
  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
    $6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[],
    $12::bigint[], $13::text[], $14::text[], $15::text[], $16::bigint[])
  ON CONFLICT(id) DO UPDATE SET state = excluded.state, n = excluded.n, text = excluded.text,
    body = excluded.body, outcome = excluded.outcome, counted = excluded.counted";
pub(super) const DELIVERY: &str = "INSERT INTO delivery(id, key, event, community, script, account,
    dest, call, slot, body, policy, state, reason, not_before, expires_at, attempts, platform_id)
  SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::text[],
    $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
    $13::text[], $14::bigint[], $15::bigint[], $16::bigint[], $17::text[])";
pub(super) const SETTLE: &str = "UPDATE delivery d SET state = s.state, reason = s.reason,
    attempts = s.attempts, platform_id = coalesce(s.platform_id, d.platform_id)
  FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[])
    AS s(id, state, reason, attempts, platform_id)
  WHERE d.id = s.id";

/// Locks in the order of ids, so that two who need the same rows never wait for each other.
pub(super) const LOCK_ACCOUNTS: &str =
    "SELECT id FROM ledger_account WHERE id = ANY($1) ORDER BY id FOR UPDATE";
/// A packet is locked before its shares are given away, its end waits for the same row.
pub(super) const LOCK_PACKETS: &str =
    "SELECT id FROM packet WHERE id = ANY($1) ORDER BY id FOR UPDATE";

const LEDGER_ACCOUNT: &str = "INSERT INTO ledger_account(id, community, kind, owner)
  SELECT (v->>'id')::bigint, (v->>'community')::bigint, v->>'kind', (v->>'owner')::bigint
  FROM jsonb_array_elements($1::jsonb) r(v)";
const TRANSFER: &str = "INSERT INTO ledger_transfer(id, community, debit, credit, amount, kind,
    pending, key, code, reason, actor, event, at, corrects, expires_at, day)
  SELECT (v->>0)::bigint, (v->>1)::bigint, (v->>2)::bigint, (v->>3)::bigint, (v->>4)::bigint,
    v->>5, (v->>6)::bigint, v->>7, v->>8, v->>9, (v->>10)::bigint, (v->>11)::bigint,
    (v->>12)::bigint, (v->>13)::bigint, (v->>14)::bigint, (v->>15)::bigint
  FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY r(v, n) ORDER BY n";
const LOT: &str = "INSERT INTO ledger_lot(community, account, expires_at, amount)
  SELECT DISTINCT ON (1, 2, 3) (v->>'community')::bigint, (v->>'account')::bigint,
    (v->>'expires_at')::bigint, (v->>'amount')::bigint
  FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY r(v, n) ORDER BY 1, 2, 3, n DESC
  ON CONFLICT(community, account, expires_at) DO UPDATE SET amount = excluded.amount";
const QUOTA: &str = "INSERT INTO ledger_quota(community, day, kind, owner, amount, cap)
  SELECT (v->>'community')::bigint, (v->>'day')::bigint, v->>'kind', (v->>'owner')::bigint,
    sum((v->>'amount')::bigint)::bigint, (array_agg((v->>'cap')::bigint ORDER BY n DESC))[1]
  FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY r(v, n) GROUP BY 1, 2, 3, 4
  ON CONFLICT(community, day, kind, owner) DO UPDATE
    SET amount = ledger_quota.amount + excluded.amount, cap = excluded.cap";
const CAMPAIGN: &str = "INSERT INTO campaign(community, n, name, event, at)
  SELECT (v->>'community')::bigint, (v->>'n')::bigint, v->>'name', (v->>'event')::bigint,
    (v->>'at')::bigint FROM jsonb_array_elements($1::jsonb) r(v)";
const PACKET: &str = "INSERT INTO packet(id, community, grp, sender, mode, total, count, wish,
    seed, commitment, created_at, opens_at, expires_at, state)
  SELECT DISTINCT ON (1) (v->>'id')::bigint, (v->>'community')::bigint, (v->>'group')::bigint,
    (v->>'sender')::bigint, v->>'mode', (v->>'total')::bigint, (v->>'count')::bigint, v->>'wish',
    v->>'seed', v->>'commitment', (v->>'created_at')::bigint, (v->>'opens_at')::bigint,
    (v->>'expires_at')::bigint, v->>'state'
  FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY r(v, n) ORDER BY 1, n DESC
  ON CONFLICT(id) DO UPDATE SET state = excluded.state";
const SHARE: &str = "INSERT INTO packet_share(packet, n, amount, person, taken_at)
  SELECT DISTINCT ON (1, 2) (v->>'packet')::bigint, (v->>'n')::bigint, (v->>'amount')::bigint,
    (v->>'person')::bigint, (v->>'taken_at')::bigint
  FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY r(v, at) ORDER BY 1, 2, at DESC
  ON CONFLICT(packet, n) DO UPDATE SET person = excluded.person, taken_at = excluded.taken_at";
const CHECKIN: &str = "INSERT INTO checkin(community, person, day, streak, ordinal)
  SELECT (v->>'community')::bigint, (v->>'person')::bigint, v->>'day', (v->>'streak')::bigint,
    (v->>'ordinal')::bigint FROM jsonb_array_elements($1::jsonb) r(v)";
const RULE_VERSION: &str = "INSERT INTO rule_version(community, version, text, author, at)
  SELECT (v->>'community')::bigint, (v->>'version')::bigint, v->>'text', (v->>'author')::bigint,
    (v->>'at')::bigint FROM jsonb_array_elements($1::jsonb) r(v)";
const RULE_ACK: &str = "INSERT INTO rule_ack(community, person, version, at)
  SELECT (v->>'community')::bigint, (v->>'person')::bigint, (v->>'version')::bigint,
    (v->>'at')::bigint FROM jsonb_array_elements($1::jsonb) r(v)";
const WARNING: &str = "INSERT INTO warning(community, person, event, n, reason, weight, script, at)
  SELECT (v->>'community')::bigint, (v->>'person')::bigint, (v->>'event')::bigint,
    (v->>'n')::bigint, v->>'reason', (v->>'weight')::bigint, v->>'script', (v->>'at')::bigint
  FROM jsonb_array_elements($1::jsonb) r(v)";
const STATE_SET: &str = "INSERT INTO script_state(community, script, scope, key, value)
  SELECT (v->>'community')::bigint, v->>'script', v->>'scope', v->>'key', v->>'value'
  FROM jsonb_array_elements($1::jsonb) r(v)
  ON CONFLICT(community, script, scope, key) DO UPDATE SET value = excluded.value";
const STATE_REMOVE: &str = "DELETE FROM script_state WHERE (community, script, scope, key) IN
  (SELECT (v->>'community')::bigint, v->>'script', v->>'scope', v->>'key'
   FROM jsonb_array_elements($1::jsonb) r(v))";
const TIMER: &str = "INSERT INTO timer(id, community, grp, script, name, due, data)
  SELECT (v->>'id')::bigint, (v->>'community')::bigint, (v->>'group')::bigint, v->>'script',
    v->>'name', (v->>'due')::bigint, v->>'data' FROM jsonb_array_elements($1::jsonb) r(v)";
const TIMER_GONE: &str = "DELETE FROM timer WHERE id IN
  (SELECT v::bigint FROM jsonb_array_elements_text($1::jsonb) r(v))";
const POSTED: &str = "INSERT INTO news_posted(community, item, title, event, at)
  SELECT (v->>'community')::bigint, v->>'item', v->>'title', (v->>'event')::bigint,
    (v->>'at')::bigint FROM jsonb_array_elements($1::jsonb) r(v)";
const RUN: &str = "INSERT INTO routine_run(community, script, name, local, fold, at, decided_at,
    state, late, reason, kind, event)
  SELECT (v->>'community')::bigint, v->>'script', v->>'name', v->>'local', (v->>'fold')::bigint,
    (v->>'at')::bigint, (v->>'decided_at')::bigint, v->>'state', (v->>'late')::bigint,
    v->>'reason', v->>'kind', (v->>'event')::bigint FROM jsonb_array_elements($1::jsonb) r(v)";
const MADE: &str = "INSERT INTO routine_made(community, name, cron, text, author, at)
  SELECT DISTINCT ON (1, 2) (v->>'community')::bigint, v->>'name', v->>'cron', v->>'text',
    (v->>'author')::bigint, (v->>'at')::bigint
  FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY r(v, n) WHERE v->>'cron' IS NOT NULL
  ORDER BY 1, 2, n DESC
  ON CONFLICT(community, name) DO UPDATE SET cron = excluded.cron, text = excluded.text,
    author = excluded.author, at = excluded.at";
const UNMADE: &str = "DELETE FROM routine_made WHERE (community, name) IN
  (SELECT (v->>'community')::bigint, v->>'name' FROM jsonb_array_elements($1::jsonb) r(v)
   WHERE v->>'cron' IS NULL)";
pub(super) const AUDIT: &str =
    "INSERT INTO audit(n, at, actor, action, digest, hash, salt, payload)
  SELECT (v->>'n')::bigint, (v->>'at')::bigint, v->>'actor', v->>'action', v->>'digest', v->>'hash',
    v->>'salt', v->>'payload'
  FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY r(v, n) ORDER BY r.n";
const FORGETTING: &str = "INSERT INTO forgetting(person, community, event, at)
  SELECT (v->>'person')::bigint, (v->>'community')::bigint, (v->>'event')::bigint,
    (v->>'at')::bigint FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY r(v, n) ORDER BY n";
const SCORE: &str = "INSERT INTO member_score(community, person, score, day, days, added)
  SELECT DISTINCT ON (1, 2) (v->>'community')::bigint, (v->>'person')::bigint,
    (v->>'score')::bigint, (v->>'day')::bigint, v->>'days', (v->>'added')::bigint
  FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY r(v, n) ORDER BY 1, 2, n DESC
  ON CONFLICT(community, person) DO UPDATE SET score = excluded.score, day = excluded.day,
    days = excluded.days, added = excluded.added";
const SCORE_LOG: &str = "INSERT INTO score_log(community, person, day, kind, event, n, weight,
    source, reason)
  SELECT (v->>0)::bigint, (v->>1)::bigint, (v->>2)::bigint, v->>3, (v->>4)::bigint,
    (v->>5)::bigint, (v->>6)::bigint, (v->>7)::bigint, v->>8
  FROM jsonb_array_elements($1::jsonb) r(v)";
const RELATION: &str = "INSERT INTO relation(community, person, source, replied, liked)
  SELECT (v->>'community')::bigint, (v->>'person')::bigint, (v->>'source')::bigint,
    max((v->>'replied')::bigint), max((v->>'liked')::bigint)
  FROM jsonb_array_elements($1::jsonb) r(v) GROUP BY 1, 2, 3
  ON CONFLICT(community, person, source) DO UPDATE SET
    replied = greatest(relation.replied, excluded.replied),
    liked = greatest(relation.liked, excluded.liked)";
const CORE_FAN: &str = "INSERT INTO core_fan(community, person, since, above, below, grace_until)
  SELECT DISTINCT ON (1, 2) (v->>'community')::bigint, (v->>'person')::bigint,
    (v->>'since')::bigint, (v->>'above')::bigint, (v->>'below')::bigint,
    (v->>'grace_until')::bigint
  FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY r(v, n) ORDER BY 1, 2, n DESC
  ON CONFLICT(community, person) DO UPDATE SET since = excluded.since, above = excluded.above,
    below = excluded.below, grace_until = excluded.grace_until";
const FAN_REVIEW: &str = "INSERT INTO fan_review(community, week, version, event, at, eligible,
    eligible_core, active, active_core, entered, gone, moved)
  SELECT (v->>'community')::bigint, (v->>'week')::bigint, (v->>'version')::bigint,
    (v->>'event')::bigint, (v->>'at')::bigint, (v->>'eligible')::bigint,
    (v->>'eligible_core')::bigint, (v->>'active')::bigint, (v->>'active_core')::bigint,
    (v->>'entered')::bigint, (v->>'gone')::bigint, v->>'moved'
  FROM jsonb_array_elements($1::jsonb) r(v)";

/// Decisions come as JSON, in a commit or by themselves; of two about one delivery the first counts.
pub(super) const DECIDE: &str = "UPDATE delivery d SET state = s.state, reason = s.reason,
    attempts = 0, expires_at = coalesce(s.expires_at, d.expires_at)
  FROM (SELECT DISTINCT ON (1) (v->>'delivery')::bigint AS id, v->>'state' AS state,
      v->>'reason' AS reason, (v->>'expires_at')::bigint AS expires_at
    FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY r(v, n) ORDER BY 1, n) s
  WHERE d.id = s.id AND d.state = 'unknown'";
/// Deliveries of a list.
pub(super) const AMONG_KEYS: &str = "key IN (SELECT jsonb_array_elements_text($1::jsonb))";
pub(super) const AMONG_IDS: &str =
    "id IN (SELECT v::bigint FROM jsonb_array_elements_text($1::jsonb) r(v))";

/// Every transfer since the first that expires.
pub(super) const MOVED: &str = "SELECT debit, credit, amount, expires_at, at FROM ledger_transfer
  WHERE id >= $2 AND community = $1 AND kind IN('post','post_pending') ORDER BY id";

/// Lines of before the chain, with chance for each.
pub(super) const BEFORE_IS_THERE: &str =
    "SELECT 1 FROM pg_class WHERE oid = to_regclass('audit_before')";
pub(super) const BEFORE: &str = "SELECT event, community, at, actor, action, object, detail,
    uuid_send(gen_random_uuid()) FROM audit_before ORDER BY id";
/// Lines of the audit log together, as one JSON text.
pub(super) const AUDIT_PAGE: &str =
    "SELECT coalesce(json_agg(json_build_array(n, at, actor, action, digest, hash, salt, payload)
      ORDER BY n), '[]')::text
    FROM (SELECT * FROM audit WHERE n > $1 ORDER BY n LIMIT $2) page";
/// Lines of the audit log that are about a person, or by her. Within a text of JSON no quotation mark
/// stands unescaped, so that this finds members of the payload alone.
pub(super) const AUDIT_MINE: &str = "SELECT n, at, actor, action, payload FROM audit
  WHERE payload ~ ('\"(by|about)\":' || $1 || '[,}]') ORDER BY n";
pub(super) const AUDIT_ERASE: &str = "UPDATE audit SET salt = NULL, payload = NULL
  WHERE payload ~ ('\"(by|about)\":' || $1 || '[,}]')";
/// Keys begin with the time, by which the latest is found.
pub(super) const KEY_GONE: &str =
    "UPDATE event SET key = substr(key, 1, strpos(key, ':')) || 'forgotten:' || id WHERE id = $1";

/// Whether a column contains one of the words of `$1`.
pub(super) fn names_one_of(column: &str) -> String {
    format!(
        "EXISTS(SELECT 1 FROM jsonb_array_elements_text($1::jsonb) w(v)
          WHERE strpos({column}, w.v) > 0)"
    )
}

/// Which of the keys `[account, key]` are there: places in the list.
pub(super) const KNOWN: &str = "SELECT k.n - 1
  FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY k(v, n)
  WHERE EXISTS(SELECT 1 FROM event e WHERE e.account = (k.v->>0)::bigint AND e.key = k.v->>1)";
pub(super) const PERSONS: &str = "SELECT a.person
  FROM jsonb_array_elements_text($1::jsonb) WITH ORDINALITY k(v, n)
  LEFT JOIN account a ON a.ref = k.v ORDER BY k.n";
pub(super) const TIMERS_OF: &str = "SELECT due, id, community FROM timer
  WHERE script IN (SELECT jsonb_array_elements_text($1::jsonb)) AND name <> $2 ORDER BY due, id";
pub(super) const DONE: &str = "SELECT person, kind, count(*) FROM score_log
  WHERE community = $1 AND day >= $2
    AND kind IN('answer','proposal','host','order','invite') GROUP BY person, kind";
pub(super) const NEWS_ITEMS: &str =
    "INSERT INTO news_item(source, item, place, title, url, published_at, seen_at)
  SELECT v->>'source', v->>'item', (v->>'place')::bigint, v->>'title', v->>'url',
    (v->>'published_at')::bigint, (v->>'seen_at')::bigint FROM jsonb_array_elements($1::jsonb) r(v)";
/// What is checked of the database itself.
pub(super) const FILE_CHECKS: &[&str] = &["SELECT * FROM dangling_rows()"];

/// What few batches write, before the events and after them, in the order of `parts`.
pub(super) const FIRST: [&str; 6] = [COMMUNITY, GROUP, PERSON, ACCOUNT, MEMBER, LEFT_UNDONE];
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
