//! Is every invariant of the ledger true in this database? The numbers are those of ARCHITECTURE.md.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use sqlx::Row;

use super::read::{Result, all, tuples};
use super::sql::{FILE_CHECKS, MOVED};
use super::{Db, failure};
use crate::clock::TimeMs;
use crate::id::CommunityId;
use crate::ledger::Lots;
use crate::store::{LedgerAudit, Verification};

/// Sentences of one check; more say nothing new.
const BROKEN_MAX: usize = 100;

/// Each query gives one sentence for each thing that does not hold in one community.
const CHECKS: &[&str] = &[
    // L1: the sum over all accounts is zero.
    "SELECT 'L1: community ' || community || ' is off by ' || sum(credits - debits)
     FROM ledger_account WHERE community = $1 GROUP BY community
     HAVING sum(credits - debits) <> 0",
    // L2: nobody but the mint is below zero, counting what is set aside.
    "SELECT 'L2: account ' || id || ' (' || kind || ' ' || owner || ') is below zero'
     FROM ledger_account WHERE community = $1 AND kind <> 'mint'
       AND debits + debits_pending > credits",
    // L3: balances are what the transfers say.
    "SELECT 'L3: account ' || a.id || ' says ' || a.debits || '/' || a.credits
       || ', its transfers ' || coalesce(d.s, 0) || '/' || coalesce(c.s, 0)
     FROM ledger_account a
     LEFT JOIN (SELECT debit, sum(amount) s FROM ledger_transfer
       WHERE community = $1 AND kind IN('post','post_pending') GROUP BY debit) d ON d.debit = a.id
     LEFT JOIN (SELECT credit, sum(amount) s FROM ledger_transfer
       WHERE community = $1 AND kind IN('post','post_pending') GROUP BY credit) c ON c.credit = a.id
     WHERE a.community = $1 AND (a.debits <> coalesce(d.s, 0) OR a.credits <> coalesce(c.s, 0))",
    "SELECT 'L3: account ' || a.id || ' has ' || a.debits_pending || '/' || a.credits_pending
       || ' set aside, its holds say ' || coalesce(d.s, 0) || '/' || coalesce(c.s, 0)
     FROM ledger_account a
     LEFT JOIN (SELECT p.debit, sum(p.amount) s FROM ledger_transfer p WHERE p.kind = 'pending'
       AND p.community = $1 AND NOT EXISTS(SELECT 1 FROM ledger_transfer r WHERE r.pending = p.id)
       GROUP BY p.debit) d ON d.debit = a.id
     LEFT JOIN (SELECT p.credit, sum(p.amount) s FROM ledger_transfer p WHERE p.kind = 'pending'
       AND p.community = $1 AND NOT EXISTS(SELECT 1 FROM ledger_transfer r WHERE r.pending = p.id)
       GROUP BY p.credit) c ON c.credit = a.id
     WHERE a.community = $1
       AND (a.debits_pending <> coalesce(d.s, 0) OR a.credits_pending <> coalesce(c.s, 0))",
    // L4: shares of a packet sum to its total, and what is not taken lies in its escrow.
    "SELECT 'L4: packet ' || p.id || ' holds ' || p.total || ' but its shares sum to '
       || coalesce(sum(s.amount), 0)
     FROM packet p LEFT JOIN packet_share s ON s.packet = p.id WHERE p.community = $1
     GROUP BY p.id HAVING coalesce(sum(s.amount), 0) <> p.total OR count(s.n) <> p.count",
    "SELECT 'L4: packet ' || p.id || ' has ' || coalesce(a.credits - a.debits, 0)
       || ' in escrow instead of ' || sum(CASE WHEN s.person IS NULL THEN s.amount ELSE 0 END)
     FROM packet p JOIN packet_share s ON s.packet = p.id
     LEFT JOIN ledger_account a ON a.community = p.community AND a.kind = 'escrow' AND a.owner = p.id
     WHERE p.community = $1 AND p.state = 'open'
     GROUP BY p.id, a.id
     HAVING coalesce(a.credits - a.debits, 0) <> sum(CASE WHEN s.person IS NULL THEN s.amount ELSE 0 END)",
    "SELECT 'L4: share ' || s.n || ' of packet ' || s.packet || ' was taken but not paid'
     FROM packet_share s JOIN packet p ON p.id = s.packet
     WHERE p.community = $1 AND s.person IS NOT NULL AND NOT EXISTS(SELECT 1 FROM ledger_transfer t
       JOIN ledger_account a ON a.id = t.credit
       WHERE t.community = p.community AND t.key = 'grab:' || s.packet || ':' || s.person
         AND t.amount = s.amount AND a.kind = 'member' AND a.owner = s.person)",
    // L5 is a UNIQUE constraint. L6: an ended packet has an empty escrow, and went back once.
    "SELECT 'L6: packet ' || p.id || ' has ended with ' || (a.credits - a.debits) || ' in escrow'
     FROM packet p JOIN ledger_account a
       ON a.community = p.community AND a.kind = 'escrow' AND a.owner = p.id
     WHERE p.community = $1 AND p.state <> 'open' AND a.credits <> a.debits",
    "SELECT 'L6: packet ' || id || ' is exhausted with shares left' FROM packet p
     WHERE community = $1 AND state = 'exhausted'
       AND EXISTS(SELECT 1 FROM packet_share s WHERE s.packet = p.id AND s.person IS NULL)",
    "SELECT 'L6: what nobody took of packet ' || p.id || ' did not go back once by its own key'
     FROM packet p WHERE p.community = $1 AND p.state = 'refunded'
       AND EXISTS(SELECT 1 FROM packet_share s WHERE s.packet = p.id AND s.person IS NULL)
       AND NOT EXISTS(SELECT 1 FROM ledger_transfer t JOIN ledger_account a ON a.id = t.credit
         WHERE t.community = p.community AND t.key = 'refund:' || p.id
           AND a.kind = 'member' AND a.owner = p.sender AND t.amount =
             (SELECT sum(s.amount) FROM packet_share s WHERE s.packet = p.id AND s.person IS NULL))",
    // L8: a pending transfer is resolved at most once (also UNIQUE), by its own kind.
    "SELECT 'L8: transfer ' || r.id || ' resolves ' || r.pending || ', which is not pending'
     FROM ledger_transfer r JOIN ledger_transfer p ON p.id = r.pending
     WHERE r.community = $1 AND p.kind <> 'pending'",
    // L9: every transfer has the event that caused it.
    "SELECT 'L9: transfer ' || t.id || ' has no event' FROM ledger_transfer t
     WHERE t.community = $1 AND NOT EXISTS(SELECT 1 FROM event e WHERE e.id = t.event)",
    // L10: caps of a day are kept, and count what the transfers say.
    "SELECT 'L10: ' || kind || ' ' || owner || ' has ' || amount || ' on day ' || day
       || ', more than ' || cap
     FROM ledger_quota WHERE community = $1 AND amount > cap",
    "WITH said(day, kind, owner, amount) AS (
       SELECT t.day, 'minted', 0, sum(t.amount) FROM ledger_transfer t
         JOIN ledger_account d ON d.id = t.debit
         WHERE t.community = $1 AND t.day IS NOT NULL AND d.kind = 'mint' GROUP BY t.day
       UNION ALL SELECT t.day, 'earned', c.owner, sum(t.amount) FROM ledger_transfer t
         JOIN ledger_account d ON d.id = t.debit JOIN ledger_account c ON c.id = t.credit
         WHERE t.community = $1 AND t.day IS NOT NULL AND d.kind IN('mint','campaign')
           AND c.kind = 'member' GROUP BY t.day, c.owner
       UNION ALL SELECT t.day, 'grabbed', c.owner, sum(t.amount) FROM ledger_transfer t
         JOIN ledger_account d ON d.id = t.debit JOIN ledger_account c ON c.id = t.credit
         WHERE t.community = $1 AND t.day IS NOT NULL AND d.kind = 'escrow'
         GROUP BY t.day, c.owner
       UNION ALL SELECT t.day, 'packets', p.grp, count(*) FROM ledger_transfer t
         JOIN ledger_account c ON c.id = t.credit AND c.kind = 'escrow'
         JOIN packet p ON p.id = c.owner
         WHERE t.community = $1 AND t.day IS NOT NULL GROUP BY t.day, p.grp)
     SELECT 'L10: ' || s.kind || ' ' || s.owner || ' is ' || s.amount || ' on day ' || s.day
       || ' by its transfers, and counted as ' || coalesce(q.amount, 0)
     FROM said s LEFT JOIN ledger_quota q ON q.community = $1 AND q.day = s.day
       AND q.kind = s.kind AND q.owner = s.owner
     WHERE s.amount <> coalesce(q.amount, 0)
       AND s.day >= (SELECT min(day) FROM ledger_quota WHERE community = $1)",
    // L13, with the lots below: a correction mirrors what it corrects.
    "SELECT 'L13: transfer ' || t.id || ' does not mirror ' || t.corrects || ', which it corrects'
     FROM ledger_transfer t LEFT JOIN ledger_transfer o ON o.id = t.corrects
     WHERE t.community = $1 AND t.corrects IS NOT NULL AND (o.id IS NULL
       OR o.debit <> t.credit OR o.credit <> t.debit OR o.amount <> t.amount)",
];

/// Checks everything.
pub async fn verify(db: &mut Db) -> Result<Verification> {
    let mut result = Verification::default();
    // The ids in the rows too: what was broken by force may lie in no community that there is.
    let ids = "SELECT id FROM community UNION SELECT community FROM ledger_account
        UNION SELECT community FROM member_score UNION SELECT community FROM score_log";
    for (id,) in tuples::<(i64,)>(db, ids, &[]).await? {
        let audit = audit(db, CommunityId(id)).await?;
        result.communities += 1;
        result.accounts += audit.accounts;
        result.transfers += audit.transfers;
        result.packets += audit.packets;
        result.scores += audit.scores;
        result.broken.extend(audit.broken);
    }
    for check in FILE_CHECKS {
        for row in all(db, check, &[]).await? {
            result.broken.push(row.get(0));
        }
    }
    Ok(result)
}

/// Checks one community, at one moment of the database.
pub async fn audit(db: &mut Db, id: CommunityId) -> Result<LedgerAudit> {
    sqlx::query("SAVEPOINT audit").execute(&mut *db).await.map_err(failure)?;
    let audit = look(db, id).await;
    sqlx::query("RELEASE audit").execute(&mut *db).await.map_err(failure)?;
    audit
}

async fn look(db: &mut Db, id: CommunityId) -> Result<LedgerAudit> {
    let counts = "SELECT (SELECT count(*) FROM ledger_account WHERE community = $1),
        (SELECT count(*) FROM ledger_transfer WHERE community = $1),
        (SELECT count(*) FROM packet WHERE community = $1)";
    let row = sqlx::query(counts).bind(id.0).fetch_one(&mut *db).await.map_err(failure)?;
    let mut audit = LedgerAudit {
        accounts: row.get(0),
        transfers: row.get(1),
        packets: row.get(2),
        ..LedgerAudit::default()
    };
    if audit.accounts > 0 || audit.packets > 0 {
        for check in CHECKS {
            let rows = sqlx::query(*check).bind(id.0).fetch_all(&mut *db).await.map_err(failure)?;
            let sentences = rows.iter().take(BROKEN_MAX).map(|row| row.get(0));
            audit.broken.extend(sentences);
        }
        lots(db, id, &mut audit.broken).await?;
    }
    audit.scores = super::score::verify(db, id, &mut audit.broken).await?;
    Ok(audit)
}

/// L13: what expires is what the transfers say, the earliest first.
async fn lots(db: &mut Db, id: CommunityId, broken: &mut Vec<String>) -> Result<()> {
    let first =
        "SELECT min(id) FROM ledger_transfer WHERE community = $1 AND expires_at IS NOT NULL";
    let row = sqlx::query(first).bind(id.0).fetch_one(&mut *db).await.map_err(failure)?;
    let mut said: HashMap<i64, Lots> = HashMap::new();
    if let Some(first) = row.get::<Option<i64>, _>(0) {
        let ends = "SELECT id FROM ledger_account WHERE community = $1 AND kind IN('mint','burn')";
        let ends = tuples::<(i64,)>(db, ends, &[id.0]).await?;
        // Before the first of them nothing expired.
        let mut rows = sqlx::query_as::<_, Moved>(MOVED).bind(id.0).bind(first).fetch(&mut *db);
        while let Some(moved) = rows.try_next().await.map_err(failure)? {
            let is_end = ends.contains(&(moved.1,));
            replay(&mut said, moved, is_end);
        }
    }
    let mut kept: HashMap<i64, Lots> = HashMap::new();
    for (account, at, amount) in super::ledger::lots(db, id).await? {
        kept.entry(account).or_default().restore(at, amount);
    }
    said.retain(|_, lots| !lots.is_empty());
    let mut wrong: Vec<i64> = said.keys().chain(kept.keys()).copied().collect();
    wrong.retain(|account| said.get(account) != kept.get(account));
    wrong.sort_unstable();
    wrong.dedup();
    let sentence = |account: i64| {
        let total = |of: &HashMap<i64, Lots>| of.get(&account).map_or(0, Lots::total);
        format!(
            "L13: {} of account {account} expire, its transfers say {}",
            total(&kept),
            total(&said)
        )
    };
    broken.extend(wrong.into_iter().take(BROKEN_MAX).map(sentence));
    Ok(())
}

/// A transfer: from, to, how much, when it expires, when it was.
type Moved = (i64, i64, i64, Option<TimeMs>, TimeMs);

/// The same as the ledger does in memory, over the numbers of accounts.
fn replay(lots: &mut HashMap<i64, Lots>, moved: Moved, is_end: bool) {
    let (debit, credit, amount, expires_at, at) = moved;
    let mut pieces = lots.get_mut(&debit).map(|lots| lots.take(amount)).unwrap_or_default();
    if let Some(expires_at) = expires_at {
        pieces = vec![(expires_at, amount)];
    }
    if !pieces.is_empty() && !is_end {
        lots.entry(credit).or_default().add(&pieces, at);
    }
}
