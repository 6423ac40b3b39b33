//! What scoring costs a message, and what the evaluation of a large community takes.
//!
//! `cargo bench --bench score [-- --members 100000 --days 365]`
//!
//! First the steps of scoring alone, in nanoseconds, and the same events written with and without a
//! mark. Then a community of so many members lives for so many days: a few talk every day, most
//! nearly never; each message is a row, scores and relations are written as turns write them. A
//! process of its own then opens the file and makes the weekly evaluation, by the domain alone and by
//! a command through the whole bot.

#[path = "../tests/world/mod.rs"]
mod world;

use std::collections::HashMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use qundao::clock::{Clock, SystemClock};
use qundao::community::Community;
use qundao::community::score::{
    Authors, Facts, Kind, Mark, Pairs, REPLY, Score, Talks, WINDOW_DAYS, review, sketch,
};
use qundao::event::Element;
use qundao::id::{CommunityId, EventId, GroupId, PersonId, Ref};
use qundao::store::{
    EventRow, EventState, RelationRow, ScoreEntryRow, ScoreRow, Store, TouchRow, TurnRows, Write,
};
use qundao::value::Role;
use world::{Platform, Setup, group_ref, message, script, seed, sqlite};

/// As in the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DAY_MS: i64 = 24 * 3_600_000;
const TEXT: &str = "今天天气真不错，有人一起打游戏吗，收到请回复";
const REVIEW: &str = "//! 评\ncommand(\"评估\", |c| { let r = score::review(); \
    c.reply(`${r.is_new} ${r.entered} ${r.of_active.part}/${r.of_active.whole}`); });\n";
const COMMUNITY: CommunityId = CommunityId(1);
/// Turns in a commit while a year is made.
const BATCH: usize = 1000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let option = |name: &str| {
        let at = args.iter().position(|arg| arg == name);
        at.and_then(|at| args.get(at + 1)).cloned()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    if let Some(path) = option("--evaluate") {
        return runtime.block_on(evaluate(Path::new(&path)));
    }
    let number = |name: &str, default: i64| {
        option(name).map_or(default, |text| text.parse().expect("a number"))
    };
    steps();
    runtime.block_on(hot_path());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("year.db");
    runtime.block_on(year(&path, number("--members", 100_000), number("--days", 365)));
    let own = std::env::current_exe().expect("this program");
    let done = std::process::Command::new(own).arg("--evaluate").arg(&path).status();
    assert!(done.expect("it starts").success());
}

/// The steps of scoring a message, alone.
fn steps() {
    let elements = [Element::Text(TEXT.to_owned())];
    println!("| a message | ns |\n|---|---|");
    time("its sketch alone", |_| {
        black_box(sketch(black_box(&elements)));
    });
    let mut authors = Authors::default();
    let ids: Vec<String> = (0..1000).map(|n| format!("17953956000{n:05}")).collect();
    time("remembered with its author", |n| authors.note(GroupId(1), &ids[n % 1000], PersonId(1)));
    let texts: Vec<[Element; 1]> = (0..4096_u32)
        .map(|n| {
            let signs =
                (0..22).filter_map(|i| char::from_u32(0x4e00 + (n * 7919 + i * 131) % 9000));
            [Element::Text(signs.collect())]
        })
        .collect();
    let mut all = |name: &str, apart_ms: i64, members: usize| {
        let (mut talks, mut scores) = (Talks::default(), vec![Score::default(); members]);
        time(name, |n| {
            let (at, now) = (n % members, n as i64 * apart_ms);
            authors.note(GroupId(1), &ids[n % 1000], PersonId(at as i64));
            let today = 20_000 + now / DAY_MS;
            if !scores[at].has_room(today) {
                return;
            }
            let talk = talks.of(PersonId(at as i64), today);
            if talk.is_apart(now)
                && sketch(&texts[n % 4096]).is_some_and(|sketch| talk.is_new(sketch))
                && scores[at].count_message(today).is_some()
            {
                talk.note(now);
            }
        });
    };
    all("all steps, ten a day, all of them count", DAY_MS / 10, 1);
    all("all steps, one each 21 s: nearly all are one too many", 21_000, 1);
    all("all steps, twenty a second: nearly all come too soon or are one too many", 50, 1);
    all("all steps, 86 a day of each of ten thousand members", 100, 10_000);
    let mut pairs = Pairs::default();
    time("an answer, once a day for each pair", |n| {
        let (to, from) = (PersonId((n % 200) as i64), PersonId((n / 200 % 200) as i64));
        black_box(pairs.is_first(to, from, Kind::Reply, 20_000));
    });
}

fn time(name: &str, mut step: impl FnMut(usize)) {
    const TIMES: usize = 1_000_000;
    (0..TIMES / 10).for_each(&mut step);
    let began = Instant::now();
    (TIMES / 10..TIMES + TIMES / 10).for_each(&mut step);
    println!("| {name} | {:.0} |", began.elapsed().as_nanos() as f64 / TIMES as f64);
}

/// The row of a message.
fn turn(id: i64, person: i64, messages: i64, counted: Option<Mark>, at: i64) -> TurnRows {
    let mut rows = TurnRows::new(EventRow {
        id: EventId(id),
        community: COMMUNITY,
        group: Some(GroupId(1)),
        person: Some(PersonId(person)),
        account: Ref::new("test", "bot"),
        key: format!("{at}-{id:09}").into(),
        kind: "message",
        at,
        received_at: at,
        seed: id as u64,
        state: EventState::Done,
        text: None,
        body: None,
        outcome: None,
    });
    let (community, person) = (COMMUNITY, PersonId(person));
    rows.touched = vec![TouchRow { community, person, messages, counted }];
    rows
}

/// A community of so many members; gives the person of each.
async fn populate(path: &Path, members: i64) -> Vec<i64> {
    let now = SystemClock::default().now();
    let bot = Setup::new(vec![]).start(sqlite(path).await, &Platform::willing()).await;
    let mut all: Vec<_> = (0..members).map(|n| seed(&format!("{n}"), 0, now)).collect();
    all[0].role = Role::Owner;
    bot.seed_members(&group_ref("g"), all).await.expect("seeded");
    let rows = bot.store().community(COMMUNITY).await.expect("a community");
    let people = rows.members.iter().map(|member| member.person.0).collect();
    bot.stop().await.expect("an orderly end");
    people
}

/// Events of ten thousand members, with and without a mark.
async fn hot_path() {
    const EVENTS: i64 = 300_000;
    println!(
        "\n| 300,000 events in commits of 64 | events/s | bytes written an event |\n|---|---|---|"
    );
    for (name, is_marked) in [("without a mark", false), ("with a mark", true)] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("hot.db");
        let people = populate(&path, 10_000).await;
        let store = sqlite(&path).await;
        let (began, before) = (Instant::now(), written());
        for first in (0..EVENTS).step_by(64) {
            let turns = (first..EVENTS.min(first + 64)).map(|n| {
                let person = people[(n as usize * 7919) % people.len()];
                let nth = 1 + n / people.len() as i64;
                let mark = Mark::of(20_783 + nth / 10, 1 + nth % 10);
                Write::Turn(Box::new(turn(10 + n, person, nth, is_marked.then_some(mark), n)))
            });
            store.commit(&turns.collect::<Vec<_>>()).await.expect("a commit");
        }
        let rate = EVENTS as f64 / began.elapsed().as_secs_f64();
        let bytes = (written() - before) as f64 / EVENTS as f64;
        println!("| {name} | {rate:.0} | {bytes:.0} |");
        store.close().await;
    }
}

/// How likely a member talks on a day, per thousand.
fn liveliness(member: usize) -> u64 {
    match member % 100 {
        0 => 950,
        1..=9 => 400,
        10..=39 => 100,
        _ => 10,
    }
}

/// Chance that is the same for the same start (a linear congruence of Knuth's).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Makes a year.
async fn year(path: &Path, members: i64, days: i64) {
    let began = Instant::now();
    let people = populate(path, members).await;
    let store = sqlite(path).await;
    let today = SystemClock::default().now().div_euclid(DAY_MS);
    let (mut chance, mut id, mut log, mut relations) = (Chance(7), 100, 0_u64, 0_u64);
    let mut scores: HashMap<i64, (Score, i64)> = HashMap::new();
    let mut batch = Vec::with_capacity(BATCH);
    for day in today - days + 1..=today {
        let mut pairs = Pairs::default();
        let talking =
            people.iter().enumerate().filter(|(n, _)| chance.below(1000) < liveliness(*n));
        let talking: Vec<i64> = talking.map(|(_, person)| *person).collect();
        for person in &talking {
            for _ in 0..1 + chance.below(3) {
                id += 1;
                let (score, messages) = scores.entry(*person).or_default();
                *messages += 1;
                let counted = score.count_message(day);
                let mark = counted.map(|_| score.counted);
                let mut rows = turn(id, *person, *messages, mark, day * DAY_MS + id % DAY_MS);
                if let Some(counted) = counted.filter(|counted| counted.is_beyond_mark) {
                    rows.scores.values.push(score_row(*person, score));
                    rows.scores.log.extend(counted.closed.map(|closed| {
                        log += 1;
                        entry(*person, id, 0, closed.day, Kind::Message, closed.weight)
                    }));
                }
                let other = talking[chance.below(talking.len() as u64) as usize];
                let (to, from) = (PersonId(other), PersonId(*person));
                if chance.below(5) == 0 && to != from && pairs.is_first(to, from, Kind::Reply, day)
                {
                    (log, relations) = (log + 1, relations + 1);
                    answered(&mut rows, id, day, other, *person, &mut scores);
                }
                batch.push(Write::Turn(Box::new(rows)));
            }
            if batch.len() >= BATCH {
                store.commit(&batch).await.expect("a commit");
                batch.clear();
            }
        }
    }
    store.commit(&batch).await.expect("a commit");
    let found = store.verify().await.expect("a sound store");
    assert!(found.broken.is_empty(), "{:?}", found.broken);
    store.close().await;
    println!(
        "\n{members} members, {days} days: {} messages, {log} lines of logs, {relations} answers; \
         made and verified in {:.0} s, {} MiB of file",
        id - 100,
        began.elapsed().as_secs_f64(),
        std::fs::metadata(path).map_or(0, |file| file.len() >> 20)
    );
}

fn answered(
    rows: &mut TurnRows,
    id: i64,
    day: i64,
    to: i64,
    from: i64,
    scores: &mut HashMap<i64, (Score, i64)>,
) {
    let (score, _) = scores.entry(to).or_default();
    let closed = score.add(day, REPLY);
    rows.scores
        .log
        .extend(closed.map(|closed| entry(to, id, 1, closed.day, Kind::Message, closed.weight)));
    rows.scores.log.push(entry(to, id, 2, day, Kind::Reply, REPLY));
    rows.scores.values.push(score_row(to, score));
    let (person, source) = (PersonId(to), PersonId(from));
    let (community, replied, liked) = (COMMUNITY, day, 0);
    rows.scores.relations.push(RelationRow { community, person, source, replied, liked });
}

fn score_row(person: i64, score: &Score) -> ScoreRow {
    ScoreRow {
        community: COMMUNITY,
        person: PersonId(person),
        score: score.value,
        day: score.day,
        days: format!("{:x}", score.days),
        added: score.added,
    }
}

fn entry(person: i64, event: i64, n: i64, day: i64, kind: Kind, weight: i64) -> ScoreEntryRow {
    ScoreEntryRow {
        community: COMMUNITY,
        person: PersonId(person),
        day,
        kind,
        event: EventId(event),
        n,
        weight,
        source: None,
        reason: String::new(),
    }
}

/// The evaluation, in a process that has done nothing else.
async fn evaluate(path: &Path) {
    println!("\n| evaluation | s | MiB afterwards |\n|---|---|---|");
    let line = |what: &str, began: Instant| {
        let (seconds, mib) = (began.elapsed().as_secs_f64(), status("VmRSS:"));
        println!("| {what} | {seconds:.3} | {mib} |");
    };
    let began = Instant::now();
    let store = sqlite(path).await;
    line("the file is opened", began);
    let now = SystemClock::default().now();
    let today = now.div_euclid(DAY_MS);
    let began = Instant::now();
    let community =
        Community::from_rows(COMMUNITY, store.community(COMMUNITY).await.expect("rows"));
    line("the community is read", began);
    let began = Instant::now();
    let since = today - WINDOW_DAYS + 1;
    let facts: Facts = store.score_facts(COMMUNITY, since).await.expect("facts");
    line("relations and contributions are asked for", began);
    let began = Instant::now();
    let made = review(&community, &facts, now, today);
    line("everybody is evaluated", began);
    let (changed, whole) = (made.changed.len(), made.overview.of_active.whole);
    assert!(changed > 0 && whole > 0);
    drop((community, facts, made));
    through_the_bot(store, line).await;
    println!(
        "{changed} stand otherwise than before, {whole} active; peak {} MiB",
        status("VmHWM:")
    );
}

/// The same by a command: fetched, run again, committed, answered. The bot knows nobody yet.
async fn through_the_bot(store: Arc<dyn Store>, line: impl Fn(&str, Instant)) {
    let platform = Platform::willing();
    let clock = SystemClock::with_offset(0);
    let mut setup = Setup::new(vec![script("review", REVIEW)]);
    setup.clock = clock.clone();
    let bot = setup.start(store, &platform).await;
    for (week, what) in ["by a command, the community read first", "by a command, a week later"]
        .into_iter()
        .enumerate()
    {
        if week > 0 {
            clock.advance(7 * DAY_MS);
        }
        let began = Instant::now();
        let ask = message(&format!("review-{week}"), "g", "0", "评估", clock.now());
        bot.inbox().offer(ask, None).await;
        bot.settled().await;
        line(what, began);
    }
    println!("answers: {:?}", platform.said());
    let began = Instant::now();
    let found = bot.store().verify().await.expect("a sound store");
    assert!(found.broken.is_empty(), "{:?}", found.broken);
    line("ledger and scores verified, the whole file checked", began);
    bot.stop().await.expect("an orderly end");
}

/// Bytes that this process has handed to write calls.
fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn status(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(what));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}
