//! How long what is kept, by a clock that is moved day by day: each kind goes on its day, and not
//! before.

use qundao::clock::VirtualClock;

use crate::world::{Database, Platform, Setup, in_time, message, script, shipped};

crate::over_both! {
    each_kind_goes_on_its_day;
}

const DAY_MS: i64 = 86_400_000;
const START: i64 = 1_790_000_000_000;

/// What there is of each kind.
const KINDS: [(&str, &str, i64); 6] = [
    ("messages", "SELECT count(*) FROM event WHERE text = '早上好'", 30),
    ("what a turn did", "SELECT count(*) FROM event WHERE outcome IS NOT NULL AND kind = 0", 7),
    ("what was sent", "SELECT count(*) FROM delivery WHERE body LIKE '%签到成功%'", 7),
    ("payloads of the audit log", "SELECT count(*) FROM audit WHERE payload LIKE '%吵%'", 365),
    ("keys", "SELECT count(*) FROM event WHERE key = 'first'", 30),
    ("who answered whom", "SELECT count(*) FROM relation", 92),
];

async fn each_kind_goes_on_its_day(database: Database) {
    let clock = VirtualClock::starting_at(START);
    let platform = Platform::willing();
    let rule = "//! 吵\non_keyword([\"吵\"], |m| { m.member.warn(\"吵\"); });";
    let mut setup = Setup::new(vec![shipped("checkin"), script("quiet", rule)]);
    setup.clock = clock.clone();
    let bot = setup.start(database.open().await, &platform).await;
    let mut notices = bot.notices();
    for (key, who, text) in
        [("first", "b", "早上好"), ("2", "a", "签到"), ("3", "b", "太吵"), ("4", "a", "早上好")]
    {
        bot.inbox().offer(message(key, "g", who, text, START), None).await;
    }
    in_time("the first day", bot.settled()).await;
    let mut db = database.peek().await;
    let answered = format!("INSERT INTO relation VALUES(1, 1, 2, {}, 0)", START / DAY_MS);
    db.run(&answered).await.unwrap();
    let mut went = vec![None; KINDS.len()];
    for day in 1..=370_i64 {
        clock.set(START + day * DAY_MS + 3_600_000);
        bot.fire_due().await;
        in_time("a day", bot.settled()).await;
        for ((_, sql, _), went) in KINDS.iter().zip(&mut went) {
            if went.is_none() && db.number(sql).await == 0 {
                *went = Some(day);
            }
        }
    }
    let wanted: Vec<_> = KINDS.iter().map(|(what, _, days)| (*what, Some(*days))).collect();
    let found: Vec<_> = KINDS.iter().zip(went).map(|((what, ..), day)| (*what, day)).collect();
    assert_eq!(found, wanted);
    // What must stay has stayed.
    assert_eq!(bot.store().verify().await.unwrap().broken, Vec::<String>::new());
    let chain = bot.store().verify_audit(None).await.unwrap();
    assert_eq!((chain.broken, chain.erased), (None, chain.lines));
    bot.stop().await.unwrap();
    let mut told = Vec::new();
    while let Ok(notice) = notices.try_recv() {
        told.push(notice.text);
    }
    let heads = told.iter().filter(|text| text.contains(&chain.head)).count();
    assert_eq!(heads, 370, "the head is told once a day: {:?}", told.first());
}
