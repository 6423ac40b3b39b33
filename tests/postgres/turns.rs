//! Batches without a bot: each event moves one point from the mint to a member, so that an event
//! that was committed twice, or half, shows in the books.

use qundao::event::Envelope;
use qundao::id::{AccountId, CommunityId, EventId, PersonId, Ref, TransferId};
use qundao::ledger::{Transfer, TransferKind};
use qundao::store::{
    AccountRow, AuditRow, CommunityRow, EventRow, EventState, PersonRow, Store, TurnRows, Write,
};

use crate::world::{Peek, message};

pub const MINT: AccountId = AccountId(1);

/// The account of a member; members are numbered from 1.
pub fn account(member: i64) -> AccountId {
    AccountId(member + 1)
}

pub fn event(id: i64, text: &str) -> EventRow {
    let envelope: Envelope = message(&format!("e{id}"), "g", "a", text, id);
    EventRow {
        id: EventId(id),
        community: CommunityId(1),
        group: None,
        person: None,
        account: Ref::new("test", "bot"),
        key: envelope.key.clone(),
        kind: "message",
        at: id,
        received_at: id,
        seed: u64::MAX - id.unsigned_abs(),
        state: EventState::Done,
        text: Some(text.into()),
        body: None,
        outcome: None,
    }
}

/// A community with members, by event 1.
pub fn beginning(members: i64) -> Vec<Write> {
    let mut rows = TurnRows::new(event(1, "begin"));
    rows.community = Some(CommunityRow { id: CommunityId(1), key: "test:g".to_owned() });
    let row = |id, kind, owner| AccountRow { id, community: CommunityId(1), kind, owner };
    rows.accounts.push(row(MINT, "mint", 0));
    for member in 1..=members {
        let account_ref = Ref::new("test", format!("u{member}"));
        rows.persons.push(PersonRow { id: PersonId(member), account: account_ref, at: 0 });
        rows.accounts.push(row(account(member), "member", member));
    }
    vec![Write::Turn(Box::new(rows))]
}

/// A turn that moves one point to a member; its transfer has the event's number.
pub fn paying(id: i64, member: i64) -> Write {
    let mut rows = TurnRows::new(event(id, "pay"));
    rows.transfers.push(Transfer {
        id: TransferId(id),
        debit: MINT,
        credit: account(member),
        amount: 1,
        kind: TransferKind::Post,
        pending: None,
        key: format!("pay:{id}"),
        code: "pay".to_owned(),
        reason: String::new(),
        actor: None,
        event: EventId(id),
        at: id,
        corrects: None,
        expires_at: None,
        day: None,
    });
    rows.audit.push(AuditRow {
        event: Some(EventId(id)),
        community: Some(CommunityId(1)),
        at: id,
        actor: "core".to_owned(),
        by: None,
        about: Some(PersonId(member)),
        action: "pay".to_owned(),
        object: String::new(),
        detail: String::new(),
        salt: [id as u8; 16],
    });
    Write::Turn(Box::new(rows))
}

/// Every event from 2 to `last` is there once, with its transfer, and the ledger is sound.
pub async fn told(store: &dyn Store, db: &mut Peek, last: i64) {
    let events = db.numbers("SELECT id FROM event WHERE id > 1 ORDER BY id").await;
    assert_eq!(events, (2..=last).collect::<Vec<_>>());
    let transfers = db.numbers("SELECT id FROM ledger_transfer ORDER BY id").await;
    assert_eq!(transfers, events);
    // The chain of the audit log has a line of each, in some order.
    let chain = store.verify_audit(None).await.unwrap();
    assert_eq!((chain.lines, chain.broken), (events.len() as i64, None));
    let paid = "SELECT CAST(sum(credits) AS BIGINT) FROM ledger_account WHERE kind = 'member'";
    assert_eq!(db.number(paid).await, last - 1);
    assert_eq!(store.verify().await.unwrap().broken, Vec::<String>::new());
}
