//! Issue 5, must show 6: a random history of a thousand members through the real bot; a hundred of
//! them are forgotten, and not one byte of theirs is left in database, log of the database or log.

use std::path::Path;
use std::sync::{Arc, Mutex};

use qundao::bot::Bot;
use qundao::clock::{Clock, SystemClock, mix_seed};
use qundao::event::{Element, Envelope, EventKind};
use qundao::id::{EventId, PersonId, Ref};
use qundao::store::sqlite::Sqlite;
use qundao::store::{AuditRow, ForgetRow, Store};
use qundao::value::Role;

use crate::world::{
    Database, Platform, Setup, event, group_ref, in_time, message, number, peek, script, shipped,
};

crate::over_both! {
    who_comes_back_is_new_and_what_stays_behind_is_a_number;
}

/// By `QUNDAO_MEMBERS`.
const MEMBERS: u64 = 1000;
const FORGOTTEN: usize = 100;
/// Of these, who ask in the chat; the others are forgotten by the operator.
const BY_CHAT: usize = 25;

/// Remembers names and words wherever a script can.
const NOSY: &str = r#"//! 记下一切
on_message(|m| {
    state::set(m.member, "last", m.text);
    let names = state::get("community", "names", []);
    names.push(m.member.nickname);
    if names.len() > 40 { names.remove(0); }
    state::set("community", "names", names);
    if m.text.contains("警告") { m.member.warn("吵到了 " + m.member.name); }
    if m.text.contains("回声") { m.reply(m.member.nickname + " 说：" + m.text); }
    if m.text.contains("提醒") { after("10d", "later", #{ who: m.member.name, n: m.member.id }); }
    if m.text.contains("私信") { dm(m.member, "只给 " + m.member.name + "：" + m.text); }
    if m.text.contains("好人") { m.member.add_score(3, "other", "谢谢 " + m.member.name); }
});
on_timer("later", |t| { say("到点了"); });
"#;

struct Person {
    local: String,
    name: String,
    nickname: String,
    words: Vec<String>,
}

impl Person {
    fn new(n: u64) -> Self {
        // Nothing of one occurs in another.
        let token = |salt: u64| format!("{:012x}", mix_seed(salt, n) >> 16);
        let (local, name, nickname) = (
            format!("{}", 3_000_000_000_000 + (mix_seed(1, n) >> 24)),
            format!("名{}", token(2)),
            format!("昵称\"{}\\", token(3)),
        );
        Self { local, name, nickname, words: Vec::new() }
    }

    /// Something that nobody else says.
    fn say(&mut self, what: &str, n: u64) -> String {
        let word = format!("词{:012x}", mix_seed(4 + self.words.len() as u64, n) >> 16);
        self.words.push(word.clone());
        format!("{what} {word}")
    }

    fn traces(&self) -> Vec<&[u8]> {
        let mut all = vec![self.local.as_bytes(), self.name.as_bytes()];
        all.push(self.nickname.trim_start_matches("昵称\"").trim_end_matches('\\').as_bytes());
        all.extend(self.words.iter().map(String::as_bytes));
        all
    }
}

fn envelope(person: &Person, key: String, kind: EventKind, at: i64) -> Envelope {
    let mut envelope = event(&key, "g", "x", kind, at);
    let actor = envelope.actor.as_mut().unwrap();
    actor.id = Ref::new("test", &person.local);
    (actor.name, actor.nickname) = (person.name.clone(), Some(person.nickname.clone()));
    envelope
}

fn said(person: &Person, key: String, elements: Vec<Element>, at: i64) -> Envelope {
    let kind = EventKind::Message {
        id: key.clone(),
        elements: elements.into(),
        quote: None,
        to_bot: false,
    };
    envelope(person, key, kind, at)
}

/// A few days of chat: each says and does something of everything, and names others.
async fn history(bot: &Bot, people: &mut [Person], now: i64) {
    let inbox = bot.inbox();
    let text = |text: String| vec![Element::Text(text)];
    for n in 0..people.len() {
        let other = mix_seed(9, n as u64) as usize % people.len();
        let (other_name, other_ref) =
            (people[other].name.clone(), Ref::new("test", &people[other].local));
        let person = &mut people[n];
        let mut say = |what: &str| person.say(what, n as u64);
        let lines = [
            say("大家好"),
            say(["警告", "回声", "提醒", "私信", "好人"][n % 5]),
            "签到".to_owned(),
            say("闲聊"),
        ];
        // Half of the keys name the account, as those of some platforms do.
        let secs = now / 1000;
        let joined = EventKind::Joined { inviter: None };
        let key = format!("{secs}:join:{}", person.local);
        inbox.offer(envelope(person, key, joined, now), None).await;
        for (at, line) in lines.into_iter().enumerate() {
            inbox.offer(said(person, format!("{secs}:m{n}-{at}"), text(line), now), None).await;
        }
        let naming = vec![
            Element::Text(format!("{other_name} 你好，{} 也是 ", other_ref)),
            Element::Mention { id: other_ref, name: other_name },
        ];
        inbox.offer(said(person, format!("{secs}:n{n}"), naming, now), None).await;
        if n % 50 == 0 {
            let wish = person.say("红包 10 2", n as u64);
            inbox.offer(said(person, format!("{secs}:p{n}"), text(wish), now), None).await;
        }
        if n % 10 == 1 {
            inbox.offer(said(person, format!("{secs}:g{n}"), text("抢".into()), now), None).await;
            let grant = vec![
                Element::Text("加积分 ".into()),
                Element::Mention { id: Ref::new("test", &person.local), name: person.name.clone() },
                // An admin's words are the admin's; in the ledger they are about her.
                Element::Text(format!(" 5 谢谢{n}")),
            ];
            let mut grant = said(person, format!("{secs}:a{n}"), grant, now);
            let actor = grant.actor.as_mut().unwrap();
            (actor.id, actor.name, actor.nickname) =
                (Ref::new("test", "admin"), "管理员".to_owned(), None);
            actor.role = Some(Role::Admin);
            inbox.offer(grant, None).await;
        }
    }
    in_time("the history", bot.settled()).await;
}

/// How many traces of these lie in any file of the folder.
fn hits(folder: &Path, people: &[&Person]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        // One pass over the file for all of them.
        let traces: Vec<&[u8]> = people.iter().flat_map(|person| person.traces()).collect();
        let all = aho_corasick::AhoCorasick::new(&traces).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for hit in all.find_overlapping_iter_or_first(&bytes) {
            if seen.insert(hit) {
                let trace = String::from_utf8_lossy(traces[hit]).into_owned();
                found.push(format!("{}: {trace}", path.display()));
            }
        }
    }
    found
}

/// The crate's search with what this needs of it.
trait Hits {
    fn find_overlapping_iter_or_first<'a>(&'a self, bytes: &'a [u8]) -> Vec<usize>;
}

impl Hits for aho_corasick::AhoCorasick {
    fn find_overlapping_iter_or_first<'a>(&'a self, bytes: &'a [u8]) -> Vec<usize> {
        self.find_iter(bytes).map(|hit| hit.pattern().as_usize()).collect()
    }
}

fn log_to(path: &Path) -> tracing::subscriber::DefaultGuard {
    let file = Mutex::new(std::fs::File::create(path).unwrap());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("info,qundao=trace")
        .with_writer(file)
        .with_ansi(false)
        .finish();
    tracing::subscriber::set_default(subscriber)
}

async fn by_operator(store: &dyn Store, person: &Person, at: i64) {
    let known = store.persons(&[Ref::new("test", &person.local)]).await.unwrap();
    let person = known[0].expect("she is known");
    let line = AuditRow {
        event: None,
        community: None,
        at,
        actor: "operator".to_owned(),
        by: None,
        about: None,
        action: "forget".to_owned(),
        object: format!("person {person}"),
        detail: String::new(),
        salt: [7; 16],
    };
    store
        .forget(&ForgetRow { person, community: None, event: EventId(0), at }, &line)
        .await
        .unwrap();
}

// One thread, so that the log of this test is whole.
#[tokio::test]
async fn of_a_hundred_who_are_forgotten_no_byte_is_left() {
    let members = std::env::var("QUNDAO_MEMBERS").ok().and_then(|n| n.parse().ok());
    let members: u64 = members.unwrap_or(MEMBERS);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qundao.db");
    let _log = log_to(&folder.path().join("qundao.log"));
    let platform = Platform::willing();
    let scripts =
        ["checkin", "points", "red_packet", "rules", "privacy", "seed_users"].map(shipped);
    let mut setup = Setup::new(scripts.into_iter().chain([script("nosy", NOSY)]).collect());
    setup.config.limits.commands = 1000;
    let store = Arc::new(Sqlite::open(&path).await.unwrap());
    let bot = setup.start(store.clone(), &platform).await;
    let now = SystemClock::default().now();
    let mut people: Vec<Person> = (0..members).map(Person::new).collect();
    history(&bot, &mut people, now).await;
    let (gone, kept) = {
        let mut order: Vec<usize> = (0..people.len()).collect();
        order.sort_by_key(|n| mix_seed(77, *n as u64));
        let (gone, kept) = order.split_at(FORGOTTEN);
        let of = |places: &[usize]| places.iter().map(|n| &people[*n]).collect::<Vec<_>>();
        (of(gone), of(kept))
    };
    for (n, person) in gone[..BY_CHAT].iter().enumerate() {
        let bye = vec![Element::Text("忘记我 确认".to_owned())];
        bot.inbox().offer(said(person, format!("1:bye{n}"), bye, now), None).await;
    }
    in_time("who asked", bot.settled()).await;
    // She who comes back is new, and has nothing.
    let back = gone[0];
    let before = store.persons(&[Ref::new("test", &back.local)]).await.unwrap();
    assert_eq!(before, [None]);
    bot.stop().await.unwrap();
    drop(store);

    let some: Vec<&Person> = gone[BY_CHAT..].to_vec();
    let left = hits(folder.path(), &some).len();
    assert!(left > some.len() * 3, "the search finds only {left} traces of who is still there");
    let store = Sqlite::open(&path).await.unwrap();
    for person in &some {
        by_operator(&store, person, now).await;
    }
    store.compact().await.unwrap();
    assert_eq!(store.verify().await.unwrap().broken, Vec::<String>::new());
    let chain = store.verify_audit(None).await.unwrap();
    assert_eq!(chain.broken, None);
    assert!(chain.lines > 100 && chain.erased > 0, "{chain:?}");
    let found = hits(folder.path(), &gone);
    assert_eq!(found, Vec::<String>::new(), "while the database is open");
    store.close().await;
    drop(store);
    let found = hits(folder.path(), &gone);
    assert_eq!(found, Vec::<String>::new(), "after it was closed");
    // Nobody else lost anything of her own.
    let left = hits(folder.path(), &kept).len();
    let all: usize = kept.iter().map(|person| person.traces().len()).sum();
    assert_eq!(left, all, "traces of who stayed");
    let mut db = peek(&path).await;
    assert_eq!(number(&mut db, "SELECT sum(credits - debits) FROM ledger_account").await, 0);
    let reasons = "SELECT count(*) FROM ledger_transfer t JOIN ledger_account a
        ON a.id = t.credit OR a.id = t.debit WHERE a.kind = 'member' AND t.reason <> ''
        AND NOT EXISTS(SELECT 1 FROM account k WHERE k.person = a.owner)";
    assert_eq!(number(&mut db, reasons).await, 0, "reasons that speak of who has gone");
    let accounts = number(&mut db, "SELECT count(*) FROM account").await;
    assert_eq!(accounts, kept.len() as i64 + 1, "accounts of who stayed, and the admin's");
    // The bot goes on with what is left.
    let bot = Setup::new(vec![shipped("points")])
        .start(Arc::new(Sqlite::open(&path).await.unwrap()), &platform)
        .await;
    bot.inbox().offer(message("later", "g", "later", "积分", now), None).await;
    in_time("another day", bot.settled()).await;
    bot.stop().await.unwrap();
}

async fn who_comes_back_is_new_and_what_stays_behind_is_a_number(database: Database) {
    let platform = Platform::willing();
    let scripts = vec![shipped("privacy"), shipped("points"), shipped("checkin")];
    let bot = Setup::new(scripts).start(database.open().await, &platform).await;
    let now = SystemClock::default().now();
    let member = crate::world::seed("小红", 20, now);
    bot.seed_members(&group_ref("g"), vec![member]).await.unwrap();
    let id = Ref::new("test", "u-小红");
    let person = |known: Vec<Option<PersonId>>| known[0];
    let before = person(bot.store().persons(std::slice::from_ref(&id)).await.unwrap()).unwrap();
    // What is said in the same breath goes with her.
    for (n, text) in ["签到", "忘记我 确认", "签到", "积分"].iter().enumerate() {
        bot.inbox().offer(message(&format!("a{n}"), "g", "小红", text, now), None).await;
    }
    in_time("who asked", bot.settled()).await;
    bot.inbox().offer(message("b", "g", "小红", "积分", now), None).await;
    in_time("who came back", bot.settled()).await;
    let after = person(bot.store().persons(&[id]).await.unwrap()).unwrap();
    assert_ne!(before, after);
    let said: Vec<String> = platform.said().into_iter().map(|(_, text)| text).collect();
    assert!(said.last().unwrap().contains("0 积分"), "{said:?}");
    bot.stop().await.unwrap();
    let mut db = database.peek().await;
    let left = "SELECT credits - debits FROM ledger_account WHERE kind = 'member' ORDER BY owner";
    assert_eq!(db.number(left).await, 26, "her points stay on a number's account");
    for (what, sql) in [
        ("members", "SELECT count(*) FROM member WHERE person = 1"),
        ("accounts", "SELECT count(*) FROM account WHERE person = 1"),
        ("check-ins", "SELECT count(*) FROM checkin WHERE person = 1"),
        ("texts", "SELECT count(*) FROM event WHERE person = 1 AND text IS NOT NULL"),
        ("wishes", "SELECT count(*) FROM forgetting"),
    ] {
        assert_eq!(db.number(sql).await, 0, "{what}");
    }
}

/// A smaller history on a server: no byte is left in the files of its tables. The write-ahead log is
/// the server's own, and goes as its settings say.
#[tokio::test]
async fn on_a_server_no_byte_is_left_in_a_table() {
    let database = Database::postgres();
    let Database::Postgres { cluster, .. } = &database else { unreachable!("it was asked for") };
    let platform = Platform::willing();
    let scripts =
        ["checkin", "points", "red_packet", "rules", "privacy", "seed_users"].map(shipped);
    let mut setup = Setup::new(scripts.into_iter().chain([script("nosy", NOSY)]).collect());
    setup.config.limits.commands = 1000;
    let bot = setup.start(database.open().await, &platform).await;
    let now = SystemClock::default().now();
    let mut people: Vec<Person> = (0..120).map(Person::new).collect();
    history(&bot, &mut people, now).await;
    bot.stop().await.unwrap();
    let (gone, kept) = people.split_at(30);
    let (gone, kept): (Vec<_>, Vec<_>) = (gone.iter().collect(), kept.iter().collect());
    let mut db = database.peek().await;
    // Samples of the columns, with names in them.
    db.run("ANALYZE").await.unwrap();
    db.run("CHECKPOINT").await.unwrap();
    let left = cluster.tables().iter().map(|folder| hits(folder, &gone).len()).sum::<usize>();
    assert!(left > gone.len() * 3, "the search finds only {left} traces of who is still there");
    let store = database.open().await;
    for person in &gone {
        by_operator(&*store, person, now).await;
    }
    store.compact().await.unwrap();
    assert_eq!(store.verify().await.unwrap().broken, Vec::<String>::new());
    assert_eq!(store.verify_audit(None).await.unwrap().broken, None);
    store.close().await;
    // Files of before go with the next checkpoint.
    db.run("CHECKPOINT").await.unwrap();
    let of = |people: &[&Person]| -> Vec<String> {
        cluster.tables().iter().flat_map(|folder| hits(folder, people)).collect()
    };
    assert_eq!(of(&gone), Vec::<String>::new());
    assert!(of(&kept).len() > kept.len() * 3, "who stayed has lost something");
}
