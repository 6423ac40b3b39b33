//! What members may write and PostgreSQL cannot keep as it is, or not at all.

use qundao::store::{StoreError, Write};

use crate::turns::{beginning, event};
use crate::world::Database;

#[tokio::test]
async fn any_text_is_kept_and_a_key_that_is_too_long_is_a_refusal() {
    let database = Database::postgres();
    let store = database.open().await;
    store.commit(&beginning(1)).await.unwrap();
    // U+0000 does not exist in PostgreSQL, `\u0000` is six characters.
    for (id, text, kept) in [
        (2, "a\0b", "a\u{fffd}b"),
        (3, "\\u0000", "\\u0000"),
        (4, "'; DROP TABLE event; --", "'; DROP TABLE event; --"),
        (5, "红包 🧧 \u{202e} $1 {} %s \\", "红包 🧧 \u{202e} $1 {} %s \\"),
    ] {
        let mut rows = qundao::store::TurnRows::new(event(id, text));
        rows.event.key = format!("k{text}").into();
        rows.audit.push(qundao::store::AuditRow {
            event: Some(rows.event.id),
            community: Some(rows.event.community),
            at: 0,
            actor: "test".to_owned(),
            by: None,
            about: None,
            action: "say".to_owned(),
            object: text.to_owned(),
            detail: String::new(),
            salt: [7; 16],
        });
        let key = (rows.event.account.clone(), rows.event.key.clone());
        store.commit(&[Write::Turn(Box::new(rows))]).await.unwrap();
        // The same key is the same event, as it was sent.
        assert_eq!(store.known(&[key]).await.unwrap(), [0], "{text:?}");
        let mut db = database.peek().await;
        let sql = format!(
            "SELECT count(*) FROM event e WHERE e.id = {id} AND md5(e.text) = md5('{}')",
            kept.replace('\'', "''")
        );
        assert_eq!(db.number(&sql).await, 1, "{text:?}");
        // What the log hashes is what it keeps.
        let line = store.audit_log(1).await.unwrap().pop().unwrap();
        assert_eq!(line.payload.map(|payload| payload.object).as_deref(), Some(kept), "{text:?}");
        assert_eq!(store.verify_audit(None).await.unwrap().broken, None, "{text:?}");
    }
    let mut rows = qundao::store::TurnRows::new(event(9, "long"));
    let noise: String =
        (0..4000_u32).map(|n| char::from(b'a' + (n * n % 23 + n / 7 % 3) as u8)).collect();
    rows.event.key = noise.repeat(8).into();
    let said = store.commit(&[Write::Turn(Box::new(rows))]).await;
    assert!(said.is_ok() || matches!(said, Err(StoreError::Constraint(_))), "{said:?}");
}
