//! Is every invariant of the ledger true in this database? The numbers are those of ARCHITECTURE.md.

use sqlx::Row;

use super::sql::FILE_CHECKS;
use super::{Db, failure};
use crate::store::{StoreError, Verification};

/// Each query gives one sentence for each thing that does not hold.
const CHECKS: &[&str] = &[
    // L1: the sum over all accounts of a community is zero.
    "SELECT 'L1: community ' || community || ' is off by ' || sum(credits - debits)
     FROM ledger_account GROUP BY community HAVING sum(credits - debits) <> 0",
    // L2: nobody but the mint is below zero, counting what is set aside.
    "SELECT 'L2: account ' || id || ' (' || kind || ' ' || owner || ') is below zero'
     FROM ledger_account WHERE kind <> 'mint' AND debits + debits_pending > credits",
    // L3: balances are what the transfers say.
    "SELECT 'L3: account ' || a.id || ' says ' || a.debits || '/' || a.credits
       || ', its transfers ' || coalesce(d.s, 0) || '/' || coalesce(c.s, 0)
     FROM ledger_account a
     LEFT JOIN (SELECT debit, sum(amount) s FROM ledger_transfer
       WHERE kind IN('post','post_pending') GROUP BY debit) d ON d.debit = a.id
     LEFT JOIN (SELECT credit, sum(amount) s FROM ledger_transfer
       WHERE kind IN('post','post_pending') GROUP BY credit) c ON c.credit = a.id
     WHERE a.debits <> coalesce(d.s, 0) OR a.credits <> coalesce(c.s, 0)",
    "SELECT 'L3: account ' || a.id || ' has ' || a.debits_pending || '/' || a.credits_pending
       || ' set aside, its holds say ' || coalesce(d.s, 0) || '/' || coalesce(c.s, 0)
     FROM ledger_account a
     LEFT JOIN (SELECT p.debit, sum(p.amount) s FROM ledger_transfer p WHERE p.kind = 'pending'
       AND NOT EXISTS(SELECT 1 FROM ledger_transfer r WHERE r.pending = p.id)
       GROUP BY p.debit) d ON d.debit = a.id
     LEFT JOIN (SELECT p.credit, sum(p.amount) s FROM ledger_transfer p WHERE p.kind = 'pending'
       AND NOT EXISTS(SELECT 1 FROM ledger_transfer r WHERE r.pending = p.id)
       GROUP BY p.credit) c ON c.credit = a.id
     WHERE a.debits_pending <> coalesce(d.s, 0) OR a.credits_pending <> coalesce(c.s, 0)",
    // L4: shares of a packet sum to its total, and what is not taken lies in its escrow.
    "SELECT 'L4: packet ' || p.id || ' holds ' || p.total || ' but its shares sum to '
       || coalesce(sum(s.amount), 0)
     FROM packet p LEFT JOIN packet_share s ON s.packet = p.id
     GROUP BY p.id HAVING coalesce(sum(s.amount), 0) <> p.total OR count(s.n) <> p.count",
    "SELECT 'L4: packet ' || p.id || ' has ' || coalesce(a.credits - a.debits, 0)
       || ' in escrow instead of ' || sum(CASE WHEN s.person IS NULL THEN s.amount ELSE 0 END)
     FROM packet p JOIN packet_share s ON s.packet = p.id
     LEFT JOIN ledger_account a ON a.community = p.community AND a.kind = 'escrow' AND a.owner = p.id
     WHERE p.state = 'open'
     GROUP BY p.id, a.id
     HAVING coalesce(a.credits - a.debits, 0) <> sum(CASE WHEN s.person IS NULL THEN s.amount ELSE 0 END)",
    "SELECT 'L4: share ' || s.n || ' of packet ' || s.packet || ' was taken but not paid'
     FROM packet_share s JOIN packet p ON p.id = s.packet
     WHERE s.person IS NOT NULL AND NOT EXISTS(SELECT 1 FROM ledger_transfer t
       JOIN ledger_account a ON a.id = t.credit
       WHERE t.community = p.community AND t.key = 'grab:' || s.packet || ':' || s.person
         AND t.amount = s.amount AND a.kind = 'member' AND a.owner = s.person)",
    // L5 is a UNIQUE constraint. L6: an ended packet has an empty escrow.
    "SELECT 'L6: packet ' || p.id || ' has ended with ' || (a.credits - a.debits) || ' in escrow'
     FROM packet p JOIN ledger_account a
       ON a.community = p.community AND a.kind = 'escrow' AND a.owner = p.id
     WHERE p.state <> 'open' AND a.credits <> a.debits",
    "SELECT 'L6: packet ' || id || ' is exhausted with shares left' FROM packet p
     WHERE state = 'exhausted'
       AND EXISTS(SELECT 1 FROM packet_share s WHERE s.packet = p.id AND s.person IS NULL)",
    // L8: a pending transfer is resolved at most once (also UNIQUE), by its own kind.
    "SELECT 'L8: transfer ' || r.id || ' resolves ' || r.pending || ', which is not pending'
     FROM ledger_transfer r JOIN ledger_transfer p ON p.id = r.pending WHERE p.kind <> 'pending'",
    // L9: every transfer has the event that caused it.
    "SELECT 'L9: transfer ' || t.id || ' has no event' FROM ledger_transfer t
     WHERE NOT EXISTS(SELECT 1 FROM event e WHERE e.id = t.event)",
];

pub async fn verify(db: &mut Db) -> Result<Verification, StoreError> {
    let counts = "SELECT (SELECT count(*) FROM community), (SELECT count(*) FROM ledger_account),
        (SELECT count(*) FROM ledger_transfer), (SELECT count(*) FROM packet)";
    let row = sqlx::query(counts).fetch_one(&mut *db).await.map_err(failure)?;
    let mut result = Verification {
        communities: row.get(0),
        accounts: row.get(1),
        transfers: row.get(2),
        packets: row.get(3),
        scores: 0,
        broken: Vec::new(),
    };
    for check in CHECKS.iter().chain(FILE_CHECKS) {
        for row in sqlx::query(*check).fetch_all(&mut *db).await.map_err(failure)? {
            result.broken.push(row.get(0));
        }
    }
    result.scores = super::score::verify(db, &mut result.broken).await?;
    Ok(result)
}
