//! The store keeps its word when the code is bypassed: durability is asserted, constraints refuse
//! what no code may do, verification finds what was broken by force, and a database has one master.
//! One suite over SQLite and PostgreSQL.

mod world;

use qundao::clock::{Clock, SystemClock};
use qundao::effect::{Call, Delivery, DeliveryState, Destination, Policy};
use qundao::id::{AccountId, CommunityId, DeliveryId, EventId, PersonId, Ref, TransferId};
use qundao::ledger::{QuotaKind, Transfer, TransferKind};
use qundao::store::{
    AccountRow, Address, CommunityRow, CommunityRows, DecisionRow, DeliveryQuery, EventRow,
    EventState, FreezeRow, LotRow, NUMBERED, Old, PersonRow, QuotaRow, Settlement, StoreError,
    TransferBy, TurnRows, Write, copy,
};
use world::{Database, Peek, Platform, Setup, in_time, message, seed, shipped};

over_both! {
    the_database_refuses_what_no_code_may_do;
    verification_names_what_was_broken_by_force;
    an_untouched_database_verifies_and_has_one_master;
    a_database_of_the_version_before_is_brought_up_to_date;
    a_ledger_is_frozen_shown_and_thawed;
    a_transfer_is_found_by_key_and_by_number;
    lots_and_caps_are_what_was_said_last;
    what_is_in_doubt_is_decided_once_also_from_beside;
    what_could_not_be_read_is_counted;
    large_deliveries_are_settled_together_and_forgotten_together;
    who_was_met_is_known_and_nobody_else;
    what_was_restored_sends_nothing_again_and_gives_no_number_twice;
}

/// An open packet, a grab, a check-in, a budget, a correction and a hold-free ledger.
async fn lived_in(database: &Database) -> Peek {
    let platform = Platform::willing();
    let scripts = vec![shipped("red_packet"), shipped("checkin"), shipped("points")];
    let bot = Setup::new(scripts).start(database.open().await, &platform).await;
    let now = SystemClock::default().now();
    let mut members = ["a", "b", "c"].map(|name| seed(name, 100, now));
    members[2].role = qundao::value::Role::Admin;
    bot.seed_members(&world::group_ref("g"), members.to_vec()).await.unwrap();
    let inbox = bot.inbox();
    for (key, who, text) in [
        ("1", "a", "红包 30 2"),
        ("2", "b", "抢"),
        ("3", "c", "签到"),
        ("4", "c", "加预算 春节 100 活动"),
        ("5", "c", "加积分 b 3 试"),
        ("6", "c", "冲正 7 试错"),
    ] {
        inbox.offer(message(key, "g", who, text, now), None).await;
    }
    in_time("all turns", bot.settled()).await;
    bot.stop().await.unwrap();
    database.peek().await
}

/// What the database says to a statement that no code would send.
async fn refusal(db: &mut Peek, sql: &str) -> String {
    match db.run(sql).await {
        Ok(rows) => panic!("{sql} went through ({rows} rows)"),
        Err(said) => said,
    }
}

/// How each database says that a rule was broken.
fn words<'a>(db: &Peek, because: &'a str) -> &'a str {
    match (db, because) {
        (Peek::Sqlite(_), "CHECK") => "CHECK constraint failed",
        (Peek::Sqlite(_), "UNIQUE") => "UNIQUE constraint failed",
        (Peek::Sqlite(_), "FOREIGN KEY") => "FOREIGN KEY constraint failed",
        (Peek::Postgres(_), "CHECK") => "violates check constraint",
        (Peek::Postgres(_), "UNIQUE") => "violates unique constraint",
        (Peek::Postgres(_), "FOREIGN KEY") => "violates foreign key constraint",
        (Peek::Sqlite(_) | Peek::Postgres(_), said) => said,
    }
}

async fn the_database_refuses_what_no_code_may_do(database: Database) {
    let mut db = lived_in(&database).await;
    for (sql, because) in [
        ("UPDATE ledger_account SET credits = credits + 1 WHERE kind = 'member'", "by a transfer only"),
        ("UPDATE ledger_account SET debits = 0, credits = 0, last_transfer = last_transfer + 1",
            "by a transfer only"),
        ("DELETE FROM ledger_account", "never deleted"),
        ("DELETE FROM ledger_transfer", "never deleted"),
        ("UPDATE ledger_transfer SET amount = 1", "never changed"),
        ("INSERT INTO ledger_account(id, community, kind, owner, credits) VALUES(999, 1, 'member', 99, 5)",
            "opens empty"),
        // More than b has.
        ("INSERT INTO ledger_transfer SELECT 900, 1, a.id, m.id, 1000000, 'post', NULL, 'x', 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_account a, ledger_account m WHERE a.kind = 'member' AND m.kind = 'mint' LIMIT 1",
            "CHECK"),
        // Nothing, and less than nothing.
        ("INSERT INTO ledger_transfer SELECT 901, 1, a.id, m.id, 0, 'post', NULL, 'x', 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_account a, ledger_account m WHERE a.kind = 'member' AND m.kind = 'mint' LIMIT 1",
            "CHECK"),
        ("INSERT INTO ledger_transfer SELECT 902, 1, a.id, m.id, -5, 'post', NULL, 'x', 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_account a, ledger_account m WHERE a.kind = 'member' AND m.kind = 'mint' LIMIT 1",
            "CHECK"),
        // To oneself.
        ("INSERT INTO ledger_transfer SELECT 903, 1, a.id, a.id, 5, 'post', NULL, 'x', 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_account a WHERE a.kind = 'member' LIMIT 1", "CHECK"),
        // A key that was used.
        ("INSERT INTO ledger_transfer SELECT 904, 1, debit, credit, 1, 'post', NULL, key, 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_transfer WHERE kind = 'post' LIMIT 1", "UNIQUE"),
        // Into another community.
        ("INSERT INTO ledger_transfer SELECT 905, 77, debit, credit, 1, 'post', NULL, 'x', 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_transfer LIMIT 1", "FOREIGN KEY"),
        // Without an event.
        ("INSERT INTO ledger_transfer SELECT 906, 1, debit, credit, 1, 'post', NULL, 'x', 'x', '', NULL, 99999, 0,
          NULL, NULL, NULL FROM ledger_transfer WHERE key LIKE 'seed:%' LIMIT 1", "FOREIGN KEY"),
        // Resolving what was never set aside.
        ("INSERT INTO ledger_transfer SELECT 907, 1, debit, credit, amount, 'post_pending', id, 'x', 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_transfer LIMIT 1", "no such pending transfer"),
        // A budget that is spent, caps, lots, corrections.
        ("INSERT INTO ledger_account(id, community, kind, owner) VALUES(998, 1, 'bank', 1)",
            "CHECK"),
        ("INSERT INTO ledger_transfer SELECT 908, 1, c.id, m.id, 101, 'post', NULL, 'x', 'x', '', NULL, 1, 0,
          NULL, NULL, NULL FROM ledger_account c, ledger_account m WHERE c.kind = 'campaign'
          AND m.kind = 'member' LIMIT 1", "CHECK"),
        ("UPDATE ledger_quota SET amount = cap + 1", "CHECK"),
        ("INSERT INTO ledger_lot SELECT 1, id, 5, -1 FROM ledger_account LIMIT 1", "CHECK"),
        ("INSERT INTO ledger_lot VALUES(1, 4711, 5, 1)", "FOREIGN KEY"),
        ("INSERT INTO ledger_transfer SELECT 909, 1, debit, credit, amount, 'post', NULL, 'x', 'x', '', NULL, 1,
          0, id, NULL, NULL FROM ledger_transfer WHERE key LIKE 'seed:%' LIMIT 1", "mirrors what it corrects"),
        ("INSERT INTO ledger_transfer SELECT 910, 1, credit, debit, amount - 1, 'post', NULL, 'x', 'x', '', NULL,
          1, 0, id, NULL, NULL FROM ledger_transfer WHERE key LIKE 'seed:%' LIMIT 1", "mirrors what it corrects"),
        ("INSERT INTO ledger_transfer SELECT 911, 1, credit, debit, amount, 'post', NULL, 'x', 'x', '', NULL,
          1, 0, id, NULL, NULL FROM ledger_transfer WHERE key LIKE 'turn:%' AND debit IN
          (SELECT id FROM ledger_account WHERE kind = 'mint') AND id IN (SELECT corrects FROM ledger_transfer)",
            "UNIQUE"),
        ("UPDATE packet_share SET person = 1 WHERE person IS NOT NULL", "taken once"),
        ("UPDATE packet_share SET amount = amount + 1", "taken once"),
        ("UPDATE packet_share SET taken_at = 1, person = (SELECT s.person FROM packet_share s
          WHERE s.person IS NOT NULL) WHERE person IS NULL", "UNIQUE"),
        ("UPDATE packet SET total = total + 1", "cut once"),
        ("INSERT INTO checkin SELECT community, person, day, 9, 9 FROM checkin", "UNIQUE"),
        ("INSERT INTO event SELECT id + 1000, community, grp, person, account, key, kind, at, received_at,
          seed, state, n, text, body, outcome, counted FROM event", "UNIQUE"),
        ("UPDATE ledger_transfer SET reason = 'other' WHERE reason <> 'other'", "never changed"),
        ("INSERT INTO ledger_freeze VALUES(4711, 0, 'x')", "FOREIGN KEY"),
        // The audit log.
        ("UPDATE audit SET actor = 'x'", "never changed"),
        ("UPDATE audit SET payload = '{}'", "never changed"),
        ("UPDATE audit SET salt = NULL", "never changed"),
        ("DELETE FROM audit", "never deleted"),
        ("INSERT INTO audit SELECT n + 100, at, actor, action, digest, hash, salt, payload FROM audit",
            "without gaps"),
    ] {
        let said = refusal(&mut db, sql).await;
        let because = words(&db, because);
        assert!(said.contains(because), "{sql}\nsaid {said}, not {because}");
    }
    let sum = "SELECT CAST(sum(credits - debits) AS BIGINT) FROM ledger_account";
    assert_eq!(db.number(sum).await, 0);
}

async fn verification_names_what_was_broken_by_force(database: Database) {
    for (name, break_it) in [
        ("L1", "UPDATE ledger_account SET credits = credits + 7 WHERE kind = 'member'"),
        ("L2", "UPDATE ledger_account SET debits = credits + 1 WHERE kind = 'member'"),
        ("L3", "UPDATE ledger_transfer SET amount = amount + 1 WHERE key LIKE 'seed:%'"),
        ("L4", "UPDATE packet_share SET amount = amount + 1 WHERE person IS NULL"),
        ("L4", "UPDATE ledger_transfer SET key = 'other' WHERE key LIKE 'grab:%'"),
        ("L6", "UPDATE packet SET state = 'refunded'"),
        ("L6", "UPDATE packet SET state = 'exhausted'"),
        ("L6", "UPDATE packet SET state = 'refunded', expires_at = 0"),
        ("L8", "UPDATE ledger_transfer SET kind = 'void_pending', pending = (SELECT min(id) FROM ledger_transfer)
          WHERE key LIKE 'checkin:%'"),
        ("L10", "UPDATE ledger_quota SET amount = amount + 1 WHERE kind = 'minted'"),
        ("L10", "UPDATE ledger_quota SET amount = cap + 1 WHERE kind = 'packets'"),
        ("L10", "DELETE FROM ledger_quota WHERE kind = 'earned'"),
        ("L13", "INSERT INTO ledger_lot SELECT 1, id, 5, 1 FROM ledger_account WHERE kind = 'member'"),
        ("L13", "UPDATE ledger_transfer SET corrects = (SELECT min(id) FROM ledger_transfer) WHERE corrects > 0"),
        ("L9", "UPDATE ledger_transfer SET event = 4711"),
        ("file", "UPDATE event SET community = 4711 WHERE kind = 0"),
    ] {
        let database = database.another();
        let mut db = lived_in(&database).await;
        switch_constraints_off(&mut db).await;
        let rows = db.run(break_it).await.unwrap();
        assert!(rows > 0, "{break_it} changed nothing");
        drop(db);
        let found = database.open().await.verify().await.unwrap();
        assert!(found.broken.iter().any(|what| what.starts_with(name)), "{name}: {found:?}");
    }
}

async fn switch_constraints_off(db: &mut Peek) {
    let all: Vec<String> = match db {
        Peek::Sqlite(_) => {
            let triggers = [
                "ledger_account_balance",
                "ledger_transfer_fixed",
                "packet_share_taken",
                "packet_ends_once",
            ];
            let off = ["PRAGMA foreign_keys = OFF", "PRAGMA ignore_check_constraints = ON"];
            let triggers = triggers.map(|trigger| format!("DROP TRIGGER {trigger}"));
            off.map(str::to_owned).into_iter().chain(triggers).collect()
        }
        Peek::Postgres(_) => {
            let check = "DO $$ DECLARE c RECORD; BEGIN
              FOR c IN SELECT conrelid::regclass AS t, conname FROM pg_constraint
                WHERE contype = 'c' AND conrelid = ANY(ARRAY['ledger_account', 'ledger_quota']::regclass[])
              LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.t, c.conname); END LOOP;
              END $$";
            vec!["SET session_replication_role = replica".to_owned(), check.to_owned()]
        }
    };
    for sql in all {
        db.run(&sql).await.unwrap();
    }
}

async fn an_untouched_database_verifies_and_has_one_master(database: Database) {
    drop(lived_in(&database).await);
    let store = database.open().await;
    let found = store.verify().await.unwrap();
    assert_eq!(found.broken, Vec::<String>::new());
    assert!(found.transfers >= 5 && found.packets == 1, "{found:?}");
    // The second process is refused by name, and the first goes on.
    let Err(StoreError::InUse(why)) = database.try_open().await else {
        panic!("two processes on one database");
    };
    assert!(why.contains("another qundao is running") && why.contains("stop it first"), "{why}");
    store.verify().await.unwrap();
    drop(store);
    database.open().await;
}

async fn a_ledger_is_frozen_shown_and_thawed(database: Database) {
    drop(lived_in(&database).await);
    let store = database.open().await;
    let community = CommunityId(1);
    assert_eq!(store.audit(community).await.unwrap().broken, Vec::<String>::new());
    let row = FreezeRow { community, at: 5, reason: "L1: \0 是".to_owned() };
    store.freeze(&row).await.unwrap();
    store.freeze(&FreezeRow { reason: "later".to_owned(), ..row.clone() }).await.unwrap();
    let found = store.frozen().await.unwrap();
    assert_eq!((found.len(), found[0].at), (1, 5));
    assert!(found[0].reason.starts_with("L1: "), "{found:?}");
    assert_eq!(store.start().await.unwrap().frozen, [community]);
    assert_eq!(store.health(0).await.unwrap().frozen, 1);
    let dump = store.dump(community, 3).await.unwrap();
    let rows = |name: &str| &dump.tables.iter().find(|(table, _)| table == name).unwrap().1;
    assert_eq!((rows("ledger_transfer").len(), rows("campaign").len()), (3, 1));
    assert_eq!(rows("packet_share").len(), 2);
    assert!(rows("campaign")[0]["n"].is_i64() && rows("campaign")[0]["name"] == "春节");
    assert!(rows("ledger_transfer").iter().any(|row| !row["corrects"].is_null()), "{dump:?}");
    assert!(store.thaw(community).await.unwrap());
    assert!(!store.thaw(community).await.unwrap());
    assert_eq!(store.frozen().await.unwrap(), []);
}

async fn a_transfer_is_found_by_key_and_by_number(database: Database) {
    let mut db = lived_in(&database).await;
    let corrected = db.number("SELECT corrects FROM ledger_transfer WHERE corrects > 0").await;
    let store = database.open().await;
    let by_id = TransferBy::Id(TransferId(corrected));
    let found = store.transfer(CommunityId(1), &by_id).await.unwrap().unwrap();
    assert_eq!((found.amount, found.corrects), (100, None));
    let by = TransferBy::Id(found.corrected_by.unwrap());
    let mirror = store.transfer(CommunityId(1), &by).await.unwrap().unwrap();
    assert_eq!((&mirror.debit, &mirror.credit), (&found.credit, &found.debit));
    let key = TransferBy::Key("grab:1:2".to_owned());
    assert!(store.transfer(CommunityId(1), &key).await.unwrap().is_some());
    for (community, by) in
        [(CommunityId(2), by_id), (CommunityId(1), TransferBy::Key("grab:1:99\0".to_owned()))]
    {
        assert_eq!(store.transfer(community, &by).await.unwrap(), None);
    }
    // Lines sum to what can be spent.
    let log = store.points_log(CommunityId(1), PersonId(2), 0, 50).await.unwrap();
    let all = store.community(CommunityId(1)).await.unwrap();
    let account = all.accounts.iter().find(|row| row.1 == "member" && row.2 == 2).unwrap();
    assert_eq!(log.iter().map(|line| line.delta).sum::<i64>(), account.4 - account.3);
    assert!(log.iter().any(|line| line.delta == 3), "{log:?}");
    assert!(!all.quotas.is_empty() && all.campaigns.len() == 1);
}

const MINT: AccountId = AccountId(1);
const MEMBER: AccountId = AccountId(2);
const BURN: AccountId = AccountId(3);

/// A turn that moves points, after which so many of a member's expire.
fn moving(id: i64, debit: AccountId, credit: AccountId, amount: i64, expire: i64) -> TurnRows {
    let row = EventRow { id: EventId(id), key: id.to_string().into(), ..first_event() };
    let mut rows = TurnRows::new(row);
    rows.transfers.push(Transfer {
        id: TransferId(id),
        debit,
        credit,
        amount,
        kind: TransferKind::Post,
        pending: None,
        key: format!("move:{id}"),
        code: "test".to_owned(),
        reason: String::new(),
        actor: None,
        event: EventId(id),
        at: id,
        corrects: None,
        expires_at: (debit == MINT).then_some(9000),
        day: None,
    });
    rows.ledger.lots.push(LotRow {
        community: CommunityId(1),
        account: MEMBER,
        expires_at: 9000,
        amount: expire,
    });
    rows
}

fn counted(id: i64, amounts: &[i64]) -> Write {
    let row = EventRow { id: EventId(id), key: id.to_string().into(), ..first_event() };
    let mut rows = TurnRows::new(row);
    rows.ledger.quotas.extend(amounts.iter().map(|amount| QuotaRow {
        community: CommunityId(1),
        day: 5,
        kind: QuotaKind::Minted,
        owner: 0,
        amount: *amount,
        cap: 10,
    }));
    Write::Turn(Box::new(rows))
}

async fn lots_and_caps_are_what_was_said_last(database: Database) {
    let store = database.open().await;
    let mut first = moving(1, MINT, MEMBER, 30, 30);
    first.community = Some(CommunityRow { id: CommunityId(1), key: "test:g".to_owned() });
    let account = |id, kind| AccountRow { id, community: CommunityId(1), kind, owner: 0 };
    first.accounts = vec![account(MINT, "mint"), account(MEMBER, "member"), account(BURN, "burn")];
    store.commit(&[Write::Turn(Box::new(first))]).await.unwrap();
    let lots = |rows: CommunityRows| rows.lots;
    assert_eq!(lots(store.community(CommunityId(1)).await.unwrap()), [(2, 9000, 30)]);
    assert_eq!(store.verify().await.unwrap().broken, Vec::<String>::new());
    // Twice in one batch: the last word counts, and nothing is left of an empty lot.
    let spent = [moving(2, MEMBER, BURN, 10, 20), moving(3, MEMBER, BURN, 5, 15)];
    store.commit(&spent.map(|rows| Write::Turn(Box::new(rows)))).await.unwrap();
    assert_eq!(lots(store.community(CommunityId(1)).await.unwrap()), [(2, 9000, 15)]);
    let spent = moving(4, MEMBER, BURN, 15, 0);
    store.commit(&[Write::Turn(Box::new(spent))]).await.unwrap();
    let mut db = database.peek().await;
    assert_eq!(db.number("SELECT count(*) FROM ledger_lot").await, 0);
    assert_eq!(store.verify().await.unwrap().broken, Vec::<String>::new());
    // What counts against a cap is added up, and the cap has the last word.
    store.commit(&[counted(5, &[3, 2]), counted(6, &[2])]).await.unwrap();
    let said = store.commit(&[counted(7, &[2, 2])]).await;
    assert!(matches!(said, Err(StoreError::Constraint(_))), "{said:?}");
    store.commit(&[counted(7, &[2, 1])]).await.unwrap();
    let amount = "SELECT amount FROM ledger_quota WHERE day = 5 AND kind = 'minted'";
    assert_eq!(db.number(amount).await, 10);
}

/// Deliveries that stand in doubt, in a database that nobody works on.
async fn doubtful(database: &Database, ids: std::ops::RangeInclusive<i64>) {
    let store = database.open().await;
    let mut rows = TurnRows::new(first_event());
    rows.community = Some(CommunityRow { id: CommunityId(1), key: "test:g".to_owned() });
    rows.deliveries = ids.map(|id| delivery(id, DeliveryState::Unknown)).collect();
    rows.deliveries.push(delivery(8, DeliveryState::Sending));
    rows.deliveries.push(delivery(9, DeliveryState::Sent));
    store.commit(&[Write::Turn(Box::new(rows))]).await.unwrap();
    store.close().await;
}

fn first_event() -> EventRow {
    EventRow {
        id: EventId(1),
        community: CommunityId(1),
        group: None,
        person: None,
        account: Ref::new("test", "bot"),
        key: "1".into(),
        kind: "message",
        at: 1000,
        received_at: 1000,
        seed: 0,
        state: EventState::Done,
        text: None,
        body: None,
        outcome: None,
    }
}

fn delivery(id: i64, state: DeliveryState) -> Delivery {
    let content = vec![qundao::event::Element::Text(format!("第 {id}"))];
    Delivery {
        id: DeliveryId(id),
        key: format!("left-{id}\0"),
        event: EventId(1),
        answers: None,
        community: CommunityId(1),
        script: None,
        account: Ref::new("test", "bot"),
        to: Destination::Group(world::group_ref("g")),
        call: Call::Send { content, reply_to: None, only_for: None, slot: None },
        policy: Policy::Retry,
        state,
        reason: None,
        not_before: 900_000 * id,
        expires_at: 1_000_000_000,
        attempts: 2,
        platform_id: None,
    }
}

fn ids(found: &[Delivery]) -> Vec<i64> {
    found.iter().map(|row| row.id.0).collect()
}

async fn what_is_in_doubt_is_decided_once_also_from_beside(database: Database) {
    doubtful(&database, 1..=4).await;
    let store = database.open().await;
    let unknown = DeliveryQuery::of(DeliveryState::Unknown, 3);
    assert_eq!(ids(&store.find_deliveries(&unknown).await.unwrap()), [4, 3, 2]);
    let since = DeliveryQuery { since: 900_000 * 4, community: Some(CommunityId(1)), ..unknown };
    assert_eq!(ids(&store.find_deliveries(&since).await.unwrap()), [4]);
    let elsewhere = DeliveryQuery { community: Some(CommunityId(2)), ..since };
    assert_eq!(ids(&store.find_deliveries(&elsewhere).await.unwrap()), [0_i64; 0]);
    let keys = DeliveryQuery::keys(vec!["left-9\0".to_owned(), "nothing".to_owned()]);
    assert_eq!(ids(&store.find_deliveries(&keys).await.unwrap()), [9]);
    let again = |id| DecisionRow::again(DeliveryId(id), "test", 2_000_000_000);
    // Beside who works on it.
    let address = Address::read(&database.url(), std::path::Path::new("/"));
    let beside = address.beside().await.unwrap().unwrap();
    let leave = DecisionRow::leave(DeliveryId(2), "\0 他");
    assert_eq!(beside.decide(&[again(1), leave, again(9)]).await.unwrap(), 2);
    assert_eq!(beside.decide(&[again(1)]).await.unwrap(), 0, "it is decided");
    // And by who does, in a turn too.
    assert_eq!(store.decide(&[again(3)]).await.unwrap(), 1);
    let mut turn = TurnRows::new(EventRow { id: EventId(2), key: "2".into(), ..first_event() });
    turn.decisions = vec![again(4), DecisionRow::leave(DeliveryId(3), "too late")];
    store.commit(&[Write::Turn(Box::new(turn))]).await.unwrap();
    let all = DeliveryQuery::ids((1..=9).map(DeliveryId).collect());
    let found = store.find_deliveries(&all).await.unwrap();
    let states: Vec<&str> = found.iter().rev().map(|row| row.state.as_str()).collect();
    assert_eq!(states, ["queued", "skipped", "queued", "queued", "sending", "sent"]);
    let one = found.last().unwrap();
    assert_eq!((one.attempts, one.expires_at), (0, 2_000_000_000));
    let counts = store.count_deliveries(900_000 * 8).await.unwrap();
    assert_eq!(counts, [(8, "sending".to_owned(), 1), (9, "sent".to_owned(), 1)]);
}

async fn who_was_met_is_known_and_nobody_else(database: Database) {
    let [known, met, stranger] = ["甲", "乙", "丙"].map(world::person_ref);
    let turn = |id: i64, account: &Ref| {
        let row = EventRow { id: EventId(id), key: id.to_string().into(), ..first_event() };
        let mut rows = TurnRows::new(row);
        rows.community =
            (id == 1).then(|| CommunityRow { id: CommunityId(1), key: "test:g".to_owned() });
        rows.persons.push(PersonRow { id: PersonId(10 * id), account: account.clone(), at: 5 });
        [Write::Turn(Box::new(rows))]
    };
    let store = database.open().await;
    assert_eq!(store.persons(&[known.clone(), met.clone()]).await.unwrap(), [None, None]);
    store.commit(&turn(1, &known)).await.unwrap();
    store.close().await;
    drop(store);
    // By a process that has not met her itself.
    let store = database.open().await;
    assert_eq!(store.persons(std::slice::from_ref(&stranger)).await.unwrap(), [None]);
    assert_eq!(store.persons(std::slice::from_ref(&known)).await.unwrap(), [Some(PersonId(10))]);
    store.commit(&turn(2, &met)).await.unwrap();
    assert_eq!(store.persons(std::slice::from_ref(&met)).await.unwrap(), [Some(PersonId(20))]);
    let all = [stranger, met, known];
    let found = [None, Some(PersonId(20)), Some(PersonId(10))];
    assert_eq!(store.persons(&all).await.unwrap(), found);
    store.close().await;
}

/// Statements that change several MiB at once: SQLite keeps what was there before until they end, and
/// it must have room for it.
async fn large_deliveries_are_settled_together_and_forgotten_together(database: Database) {
    const COUNT: i64 = 64;
    let store = database.open().await;
    let mut rows = TurnRows::new(first_event());
    rows.community = Some(CommunityRow { id: CommunityId(1), key: "test:g".to_owned() });
    let content = vec![qundao::event::Element::Text("长".repeat(50_000))];
    let large = |id| Delivery {
        call: Call::Send { content: content.clone(), reply_to: None, only_for: None, slot: None },
        ..delivery(id, DeliveryState::Queued)
    };
    rows.deliveries = (1..=COUNT).map(large).collect();
    store.commit(&[Write::Turn(Box::new(rows))]).await.unwrap();
    for state in [DeliveryState::Sending, DeliveryState::Sent] {
        let settled = |id| {
            let id = DeliveryId(id);
            Write::Settle(Settlement { id, state, reason: None, attempts: 1, platform_id: None })
        };
        let settled: Vec<Write> = (1..=COUNT).map(settled).collect();
        store.commit(&settled).await.unwrap();
        let query = DeliveryQuery::of(state, 100);
        assert_eq!(store.find_deliveries(&query).await.unwrap().len() as i64, COUNT);
    }
    let old = Old { keys: 0, ..Old::all_before(1_000_000_001) };
    assert!(store.housekeep(&old).await.unwrap() >= COUNT as u64);
    store.close().await;
}

async fn what_could_not_be_read_is_counted(database: Database) {
    const DAY_MS: i64 = 86_400_000;
    let store = database.open().await;
    for (platform, at, events) in [("onebot", 0, 3), ("onebot", 1, 2), ("discord", DAY_MS, 1)] {
        store.note_unreadable(platform, at, events).await.unwrap();
    }
    for (since, wanted) in [(0, 6), (DAY_MS, 1), (2 * DAY_MS, 0)] {
        assert_eq!(store.health(since).await.unwrap().unreadable, wanted);
    }
}

async fn what_was_restored_sends_nothing_again_and_gives_no_number_twice(database: Database) {
    doubtful(&database, 1..=2).await;
    let mark = "INSERT INTO meta(key, value) VALUES('backup_at', '77')";
    database.peek().await.run(mark).await.unwrap();
    let store = database.open().await;
    assert_eq!(store.start().await.unwrap().backup_of, Some(77));
    let restored = store.restore(88).await.unwrap();
    assert_eq!((restored.backup_of, restored.held), (Some(77), 1));
    let start = store.start().await.unwrap();
    assert_eq!((start.backup_of, start.restored_at), (None, Some(88)));
    let numbered = |kind| NUMBERED.iter().position(|name| *name == kind).unwrap();
    assert!(start.numbers[numbered("event")] > 1_000_000, "{:?}", start.numbers);
    assert!(start.numbers[numbered("packet")] >= 10_000, "{:?}", start.numbers);
    assert_eq!(store.open_deliveries().await.unwrap().len(), 0);
    store.close().await;
    drop(store);
    // What it knows of numbers goes with a copy.
    let other = database.another();
    let address = |of: &Database| Address::read(&of.url(), std::path::Path::new("/"));
    copy(&address(&database), &address(&other), 5000, &mut |_, _, _| {}).await.unwrap();
    let there = other.open().await.start().await.unwrap();
    assert_eq!((there.numbers, there.restored_at), (start.numbers, Some(88)));
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let database = Database::sqlite();
    lived_in(&database).await;
    let mode = std::fs::metadata(database.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}

/// The ledger's migration changes a constraint in place, which is worth a look at a database with rows
/// in it.
async fn a_database_of_the_version_before_is_brought_up_to_date(database: Database) {
    let old = tempfile::tempdir().unwrap();
    let kind = if database.is_sqlite() { "sqlite" } else { "postgres" };
    let all = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations");
    for file in std::fs::read_dir(all.join(kind)).unwrap().flatten() {
        if *file.file_name() < *"0005" {
            std::fs::copy(file.path(), old.path().join(file.file_name())).unwrap();
        }
    }
    if database.is_sqlite() {
        std::fs::File::create(database.file()).unwrap();
    }
    let mut db = database.peek().await;
    let before = sqlx::migrate::Migrator::new(old.path()).await.unwrap();
    match &mut db {
        Peek::Sqlite(db) => before.run(db).await.unwrap(),
        Peek::Postgres(db) => before.run(&mut **db).await.unwrap(),
    }
    for sql in [
        "INSERT INTO community(id, key) VALUES(1, 'test:g')",
        "INSERT INTO bot_account(id, ref) VALUES(1, 'test:bot')",
        "INSERT INTO event(id, community, account, key, kind, at, received_at, seed, state)
         VALUES(1, 1, 1, 'k', 0, 0, 0, 0, 0)",
        "INSERT INTO ledger_account(id, community, kind, owner) VALUES(1, 1, 'mint', 0), (2, 1, 'member', 7)",
        "INSERT INTO ledger_transfer VALUES(1, 1, 1, 2, 30, 'post', NULL, 'seed:7', 'seed', '', NULL, 1, 0)",
        "INSERT INTO audit(event, community, at, actor, action, object, detail)
         VALUES(1, 1, 5, 'no-ads@5f1c', 'delete', 'm1', '')",
    ] {
        db.run(sql).await.unwrap();
    }
    let budget =
        "INSERT INTO ledger_account(id, community, kind, owner) VALUES(3, 1, 'campaign', 1)";
    let (refused, check) = (refusal(&mut db, budget).await, words(&db, "CHECK"));
    assert!(refused.contains(check), "{refused}");
    drop(db);
    let store = database.open().await;
    let found = store.verify().await.unwrap();
    assert_eq!((found.transfers, found.broken), (1, Vec::new()));
    let chain = store.verify_audit(None).await.unwrap();
    assert_eq!((chain.lines, chain.broken), (1, None));
    let mut db = database.peek().await;
    db.run(budget).await.unwrap();
    let refused = refusal(&mut db, "UPDATE ledger_account SET credits = 1 WHERE id = 3").await;
    assert!(refused.contains("by a transfer only"), "{refused}");
}
