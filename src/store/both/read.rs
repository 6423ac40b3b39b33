//! Questions to the database, in words that SQLite and PostgreSQL understand alike.

use std::sync::Arc;

use sqlx::{FromRow, Row};

use super::accounts::BotAccounts;
use super::sql::{KNOWN, PERSONS};
use super::{Db, DbRow, failure, kept, kept_json, ledger, restore, score};
use crate::community::score::Mark;
use crate::effect::{Delivery, DeliveryState, Destination, Policy};
use crate::id::{CommunityId, DeliveryId, EventId, GroupId, PersonId, Ref, ScriptName, TimerId};
use crate::store::parts::destination;
use crate::store::{
    CheckinRow, CommunityRow, CommunityRows, EventRow, EventState, GroupRow, MemberRow, NUMBERED,
    PacketRow, PacketRows, RuleVersionRow, ShareRow, Start, StateRow, StoreError, TimerRow,
    WarningRow,
};
use crate::value::Role;

/// Packets that ended are kept in memory as long as somebody may still ask for them.
const ENDED_PACKETS_KEPT: i64 = 20;

/// Half of a community is worse than none.
const UNFINISHED: &str = "a copy into this database was not finished; empty it, and copy again";

pub type Result<T> = std::result::Result<T, StoreError>;

pub async fn start(db: &mut Db) -> Result<Start> {
    let copying = "SELECT key FROM meta WHERE key = 'copying'";
    if !all(db, copying, &[]).await?.is_empty() {
        return Err(StoreError::Data(UNFINISHED.to_owned()));
    }
    let mut start = Start::default();
    for row in all(db, "SELECT id, key FROM community ORDER BY id", &[]).await? {
        start.communities.push(CommunityRow { id: CommunityId(row.get(0)), key: row.get(1) });
    }
    for row in all(db, "SELECT id, community, ref, name FROM grp ORDER BY id", &[]).await? {
        start.groups.push(GroupRow {
            id: GroupId(row.get(0)),
            community: CommunityId(row.get(1)),
            reference: reference(row.get(2))?,
            name: row.get(3),
        });
    }
    for row in all(db, "SELECT due, id, community FROM timer", &[]).await? {
        start.timers.push((row.get(0), TimerId(row.get(1)), CommunityId(row.get(2))));
    }
    for row in all(db, "SELECT DISTINCT community FROM event WHERE state = 1", &[]).await? {
        start.waiting.push(CommunityId(row.get(0)));
    }
    start.frozen = ledger::frozen(db).await?.into_iter().map(|row| row.community).collect();
    for (table, sql) in NUMBERED.iter().zip(HIGHEST) {
        let row = sqlx::query(sql).fetch_one(&mut *db).await.map_err(failure)?;
        debug_assert!(sql.contains(table));
        start.numbers.push(row.get(0));
    }
    restore::lift(db, &mut start.numbers).await?;
    start.backup_of = restore::backup_of(db).await?;
    start.restored_at = restore::restored_at(db).await?;
    Ok(start)
}

/// In the order of [`NUMBERED`].
const HIGHEST: [&str; 9] = [
    "SELECT coalesce(max(id), 0) FROM event",
    "SELECT coalesce(max(id), 0) FROM community",
    "SELECT coalesce(max(id), 0) FROM grp",
    "SELECT coalesce(max(id), 0) FROM person",
    "SELECT coalesce(max(id), 0) FROM ledger_account",
    "SELECT coalesce(max(id), 0) FROM ledger_transfer",
    "SELECT coalesce(max(id), 0) FROM packet",
    "SELECT coalesce(max(id), 0) FROM timer",
    "SELECT coalesce(max(id), 0) FROM delivery",
];

pub async fn community(db: &mut Db, id: CommunityId) -> Result<CommunityRows> {
    let key = &[id.0];
    let members = all(
        db,
        "SELECT m.person, m.ref, m.name, m.nickname, m.role, m.trust, m.is_bot, m.joined_at,
           m.left_at, coalesce(t.messages, 0), m.active_days, m.last_day, m.tags,
           coalesce(t.counted, 0)
         FROM member m LEFT JOIN member_tally t
           ON t.community = m.community AND t.person = m.person
         WHERE m.community = $1",
        key,
    )
    .await?;
    let accounts = "SELECT id, kind, owner, debits, credits, debits_pending, credits_pending
        FROM ledger_account WHERE community = $1 AND (kind <> 'escrow' OR credits > debits)";
    let holds = "SELECT p.id, p.debit, p.credit, p.amount FROM ledger_transfer p
        WHERE p.community = $1 AND p.kind = 'pending'
          AND NOT EXISTS(SELECT 1 FROM ledger_transfer r WHERE r.pending = p.id)";
    let rules = "SELECT version, text, author, at FROM rule_version WHERE community = $1
        ORDER BY version DESC LIMIT 1";
    Ok(CommunityRows {
        members: members.iter().map(|row| member(id, row)).collect::<Result<_>>()?,
        accounts: tuples(db, accounts, key).await?,
        holds: tuples(db, holds, key).await?,
        lots: ledger::lots(db, id).await?,
        quotas: ledger::quotas(db, id).await?,
        campaigns: ledger::campaigns(db, id).await?,
        packets: packets(db, id).await?,
        checkins: checkins(db, id).await?,
        rules: all(db, rules, key).await?.first().map(|row| RuleVersionRow {
            community: id,
            version: row.get(0),
            text: row.get(1),
            author: row.get::<Option<i64>, _>(2).map(PersonId),
            at: row.get(3),
        }),
        acks: tuples::<(i64, i64)>(
            db,
            "SELECT person, max(version) FROM rule_ack WHERE community = $1 GROUP BY person",
            key,
        )
        .await?
        .into_iter()
        .map(|(person, version)| (PersonId(person), version))
        .collect(),
        warnings: warnings(db, id).await?,
        state: state(db, id).await?,
        timers: timers(db, id).await?,
        posted: super::news::posted(db, id).await?,
        runs: super::routine::lately(db, id).await?,
        routines: super::routine::made(db, id).await?,
        scores: score::values(db, id).await?,
        relations: score::relations(db, id).await?,
        core_fans: score::core_fans(db, id).await?,
        reviews: score::reviews(db, id).await?,
    })
}

fn member(community: CommunityId, row: &DbRow) -> Result<MemberRow> {
    let role: String = row.get(4);
    let tags: String = row.get(12);
    Ok(MemberRow {
        community,
        person: PersonId(row.get(0)),
        reference: reference(row.get(1))?,
        name: row.get(2),
        nickname: row.get(3),
        role: Role::parse(&role).unwrap_or_default().as_str(),
        trust: row.get::<i64, _>(5).clamp(0, 4) as u8,
        is_bot: row.get::<i64, _>(6) != 0,
        joined_at: row.get(7),
        left_at: row.get(8),
        messages: row.get(9),
        counted: Mark(row.get(13)),
        active_days: row.get(10),
        last_day: row.get(11),
        tags: json(&tags)?,
    })
}

const PACKET_COLUMNS: &str = "SELECT id, grp, sender, mode, total, count, wish, seed, commitment,
    created_at, opens_at, expires_at, state FROM packet WHERE community = $1 AND id IN
      (SELECT id FROM packet WHERE community = $1 AND state = 'open' UNION
       SELECT id FROM (SELECT id FROM packet WHERE community = $1 ORDER BY id DESC LIMIT $2) latest)";

async fn packets(db: &mut Db, id: CommunityId) -> Result<Vec<PacketRows>> {
    let mut packets = Vec::new();
    for row in all(db, PACKET_COLUMNS, &[id.0, ENDED_PACKETS_KEPT]).await? {
        let packet = packet_row(id, &row);
        let shares = shares(db, packet.id).await?;
        packets.push(PacketRows { packet, shares });
    }
    Ok(packets)
}

pub async fn packet(
    db: &mut Db,
    community: CommunityId,
    packet: i64,
) -> Result<Option<PacketRows>> {
    let rows = all(
        db,
        "SELECT id, grp, sender, mode, total, count, wish, seed, commitment, created_at,
           opens_at, expires_at, state FROM packet WHERE community = $1 AND id = $2",
        &[community.0, packet],
    )
    .await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(PacketRows { packet: packet_row(community, row), shares: shares(db, packet).await? }))
}

fn packet_row(community: CommunityId, row: &DbRow) -> PacketRow {
    PacketRow {
        id: row.get(0),
        community,
        group: GroupId(row.get(1)),
        sender: PersonId(row.get(2)),
        mode: row.get(3),
        total: row.get(4),
        count: row.get(5),
        wish: row.get(6),
        seed: row.get(7),
        commitment: row.get(8),
        created_at: row.get(9),
        opens_at: row.get(10),
        expires_at: row.get(11),
        state: row.get(12),
    }
}

async fn shares(db: &mut Db, packet: i64) -> Result<Vec<ShareRow>> {
    let sql = "SELECT n, amount, person, taken_at FROM packet_share WHERE packet = $1 ORDER BY n";
    Ok(all(db, sql, &[packet])
        .await?
        .iter()
        .map(|row| ShareRow {
            packet,
            n: row.get(0),
            amount: row.get(1),
            person: row.get::<Option<i64>, _>(2).map(PersonId),
            taken_at: row.get(3),
        })
        .collect())
}

async fn checkins(db: &mut Db, id: CommunityId) -> Result<Vec<CheckinRow>> {
    let sql = "SELECT c.person, c.day, c.streak, c.ordinal FROM checkin c
        WHERE c.community = $1 AND c.day = (SELECT max(l.day) FROM checkin l
          WHERE l.community = c.community AND l.person = c.person)";
    Ok(all(db, sql, &[id.0])
        .await?
        .iter()
        .map(|row| CheckinRow {
            community: id,
            person: PersonId(row.get(0)),
            day: row.get(1),
            streak: row.get(2),
            ordinal: row.get(3),
        })
        .collect())
}

async fn warnings(db: &mut Db, id: CommunityId) -> Result<Vec<WarningRow>> {
    let sql = "SELECT person, event, n, reason, weight, script, at FROM warning
        WHERE community = $1";
    Ok(all(db, sql, &[id.0])
        .await?
        .iter()
        .map(|row| WarningRow {
            community: id,
            person: PersonId(row.get(0)),
            event: EventId(row.get(1)),
            n: row.get(2),
            reason: row.get(3),
            weight: row.get(4),
            script: row.get(5),
            at: row.get(6),
        })
        .collect())
}

async fn state(db: &mut Db, id: CommunityId) -> Result<Vec<StateRow>> {
    let sql = "SELECT script, scope, key, value FROM script_state WHERE community = $1";
    Ok(all(db, sql, &[id.0])
        .await?
        .iter()
        .map(|row| StateRow {
            community: id,
            script: row.get(0),
            scope: row.get(1),
            key: row.get(2),
            value: row.get(3),
        })
        .collect())
}

async fn timers(db: &mut Db, id: CommunityId) -> Result<Vec<TimerRow>> {
    let sql = "SELECT id, grp, script, name, due, data FROM timer WHERE community = $1";
    Ok(all(db, sql, &[id.0])
        .await?
        .iter()
        .map(|row| TimerRow {
            id: TimerId(row.get(0)),
            community: id,
            group: row.get::<Option<i64>, _>(1).map(GroupId),
            script: row.get(2),
            name: row.get(3),
            due: row.get(4),
            data: row.get(5),
        })
        .collect())
}

pub async fn known(
    db: &mut Db,
    accounts: &BotAccounts,
    keys: &[(Ref, Arc<str>)],
) -> Result<Vec<usize>> {
    let numbered: Vec<_> =
        keys.iter().map(|(account, key)| (accounts.known(account), key)).collect();
    let json = serde_json::to_string(&numbered).unwrap_or_default();
    let rows = sqlx::query(KNOWN).bind(kept_json(json)).fetch_all(db).await.map_err(failure)?;
    Ok(rows.iter().map(|row| row.get::<i64, _>(0) as usize).collect())
}

pub async fn persons(db: &mut Db, accounts: &[Ref]) -> Result<Vec<Option<PersonId>>> {
    let json = serde_json::to_string(accounts).unwrap_or_default();
    let rows = sqlx::query(PERSONS).bind(kept_json(json)).fetch_all(db).await.map_err(failure)?;
    Ok(rows.iter().map(|row| row.get::<Option<i64>, _>(0).map(PersonId)).collect())
}

pub async fn communities_of(db: &mut Db, person: PersonId) -> Result<Vec<CommunityId>> {
    let sql = "SELECT community FROM member WHERE person = $1 AND left_at IS NULL ORDER BY 1";
    Ok(tuples::<(i64,)>(db, sql, &[person.0])
        .await?
        .into_iter()
        .map(|(id,)| CommunityId(id))
        .collect())
}

pub async fn slot_of(db: &mut Db, to: &Destination, message: &str) -> Result<Option<String>> {
    let sql = "SELECT slot FROM delivery WHERE dest = $1 AND platform_id = $2
        AND slot IS NOT NULL ORDER BY id DESC LIMIT 1";
    one(db, sql, to, message).await
}

pub async fn message_in(db: &mut Db, to: &Destination, slot: &str) -> Result<Option<String>> {
    let sql = "SELECT platform_id FROM delivery WHERE dest = $1 AND slot = $2
        AND platform_id IS NOT NULL ORDER BY id DESC LIMIT 1";
    one(db, sql, to, slot).await
}

async fn one(
    db: &mut Db,
    sql: &'static str,
    to: &Destination,
    key: &str,
) -> Result<Option<String>> {
    let found =
        sqlx::query(sql).bind(destination(to)).bind(kept(key.to_owned())).fetch_optional(db).await;
    Ok(found.map_err(failure)?.map(|row| row.get(0)))
}

pub async fn waiting(db: &mut Db, community: CommunityId, take: i64) -> Result<Vec<EventRow>> {
    let sql = "SELECT id, grp, person, key, at, received_at, seed, text, body
        FROM event WHERE community = $1 AND state = 1 ORDER BY id LIMIT $2";
    let rows = all(db, sql, &[community.0, take]).await?;
    rows.iter().map(|row| waiting_row(community, row)).collect()
}

fn waiting_row(community: CommunityId, row: &DbRow) -> Result<EventRow> {
    let body: crate::event::Envelope = json(&row.get::<String, _>(8))?;
    Ok(EventRow {
        id: EventId(row.get(0)),
        community,
        group: row.get::<Option<i64>, _>(1).map(GroupId),
        person: row.get::<Option<i64>, _>(2).map(PersonId),
        account: body.account.clone(),
        key: row.get::<String, _>(3).into(),
        kind: body.kind.word(),
        at: row.get(4),
        received_at: row.get(5),
        seed: row.get::<i64, _>(6).cast_unsigned(),
        state: EventState::Waiting,
        text: row.get::<Option<String>, _>(7).map(Into::into),
        body: Some(body),
        outcome: None,
    })
}

pub async fn open_deliveries(db: &mut Db) -> Result<Vec<Delivery>> {
    let sql = format!("{DELIVERY_COLUMNS} WHERE state IN('queued','sending') ORDER BY id");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(db).await.map_err(failure)?;
    rows.iter().map(delivery).collect()
}

/// What [`delivery`] reads.
pub const DELIVERY_COLUMNS: &str = "SELECT id, key, event, community, script, account, dest,
    body, policy, state, reason, not_before, expires_at, attempts, platform_id FROM delivery";

/// Keys begin with the time, so the last key of each account is at hand.
pub async fn last_heard(db: &mut Db, platform: &str) -> Result<Option<i64>> {
    let sql = "SELECT max((SELECT at FROM event WHERE account = bot_account.id
          ORDER BY key DESC LIMIT 1))
        FROM bot_account WHERE substr(ref, 1, length($1) + 1) = $1 || ':'";
    let found = sqlx::query(sql).bind(platform).fetch_one(db).await;
    Ok(found.map_err(failure)?.get(0))
}

pub fn delivery(row: &DbRow) -> Result<Delivery> {
    let dest: String = row.get(6);
    let policy: String = row.get(8);
    let state: String = row.get(9);
    Ok(Delivery {
        id: DeliveryId(row.get(0)),
        key: row.get(1),
        event: EventId(row.get(2)),
        answers: None,
        community: CommunityId(row.get(3)),
        script: row.get::<Option<String>, _>(4).map(|name| ScriptName::new(&name)),
        account: reference(row.get(5))?,
        to: match dest.strip_prefix('@') {
            Some(person) => Destination::Direct(reference(person.to_owned())?),
            None => Destination::Group(reference(dest)?),
        },
        call: json(&row.get::<String, _>(7))?,
        policy: if policy == "drop" { Policy::Drop } else { Policy::Retry },
        state: DeliveryState::parse(&state)
            .ok_or_else(|| StoreError::Data(format!("delivery state `{state}`")))?,
        reason: row.get(10),
        not_before: row.get(11),
        expires_at: row.get(12),
        attempts: row.get::<i64, _>(13).clamp(0, i64::from(u32::MAX)) as u32,
        platform_id: row.get(14),
    })
}

fn reference(text: String) -> Result<Ref> {
    Ref::parse(&text).ok_or_else(|| StoreError::Data(format!("reference `{text}`")))
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| StoreError::Data(error.to_string()))
}

pub async fn all(db: &mut Db, sql: &'static str, keys: &[i64]) -> Result<Vec<DbRow>> {
    let mut query = sqlx::query(sql);
    for key in keys {
        query = query.bind(*key);
    }
    query.fetch_all(db).await.map_err(failure)
}

pub async fn tuples<T>(db: &mut Db, sql: &'static str, keys: &[i64]) -> Result<Vec<T>>
where
    T: for<'r> FromRow<'r, DbRow> + Send + Unpin,
{
    all(db, sql, keys).await?.iter().map(|row| T::from_row(row).map_err(failure)).collect()
}
