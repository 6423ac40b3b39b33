//! What the other communities do meanwhile: they write at a steady pace, and every answer is held
//! against what was asked, in the order of its group.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use crate::program::{ATTACKED, HONEST, MEMBER, PATIENCE, groups};
use crate::sim::script::text as text_of;
use crate::sim::{Called, Message, Sim};

/// Messages of the simulated account that are kept: it is asked only for the latest.
const KEPT: usize = 4096;

/// How much is said.
#[derive(Clone, Copy)]
pub struct Pace {
    pub per_second: u32,
    /// Answers that a group may wait for before it says nothing more; without it, it goes on.
    pub window: Option<usize>,
}

/// What one group waits for.
#[derive(Default)]
struct Group {
    echoes: VecDeque<(String, Instant)>,
    deletions: VecDeque<(i64, Instant)>,
}

impl Group {
    fn waits_for(&self) -> usize {
        self.echoes.len() + self.deletions.len()
    }
}

/// What has been answered.
#[derive(Default)]
pub struct Board {
    groups: HashMap<i64, Group>,
    /// How long answers took since somebody last looked.
    pub latencies: Vec<Duration>,
    pub answered: usize,
    /// Most that the load itself was late since somebody last looked: then the machine was busy
    /// with something else.
    pub late: Duration,
    /// Answers that nobody waited for, or not yet.
    pub wrong: Vec<String>,
    /// What was said in attacked groups.
    pub attacked: Vec<(i64, String)>,
}

impl Board {
    /// The oldest question that is still open.
    pub fn oldest(&self) -> Option<Duration> {
        let all = self.groups.values().flat_map(|group| {
            let echoes = group.echoes.iter().map(|(_, since)| since);
            echoes.chain(group.deletions.iter().map(|(_, since)| since))
        });
        all.map(Instant::elapsed).max()
    }

    fn heard(&mut self, called: &Called, sim: &Sim) {
        let number = |key: &str| {
            let value = &called.params[key];
            value.as_i64().or_else(|| value.as_str()?.parse().ok())
        };
        match called.action.as_str() {
            "send_group_msg" => {
                let Some(group) = number("group_id") else { return };
                let text = text(called);
                if group < HONEST {
                    self.attacked.push((group, text));
                    return;
                }
                let queue = &mut self.groups.entry(group).or_default().echoes;
                let is_next = queue.front().is_some_and(|(token, _)| *token == text);
                let since = is_next.then(|| queue.pop_front()).flatten();
                self.judged(since, || format!("`{text}` was said in group {group}"));
            }
            "delete_msg" => {
                let Some(message) = number("message_id") else { return };
                // What becomes of messages of attacked groups is nobody's concern.
                let is_it = |other: &&Message| other.id == message;
                let place = sim.world().messages.iter().rev().find(is_it).and_then(|m| m.group);
                if place.is_some_and(|place| place < HONEST) {
                    return;
                }
                let is_next = |group: &&mut Group| {
                    group.deletions.front().is_some_and(|(next, _)| *next == message)
                };
                let since = self.groups.values_mut().find(is_next);
                let since = since.and_then(|group| group.deletions.pop_front());
                self.judged(since, || format!("message {message} was deleted"));
            }
            _ => {}
        }
    }

    fn judged<T>(&mut self, asked: Option<(T, Instant)>, what: impl FnOnce() -> String) {
        match asked {
            Some((_, since)) => {
                self.latencies.push(since.elapsed());
                self.answered += 1;
            }
            None => self.wrong.push(format!("{}, out of turn or twice", what())),
        }
    }
}

/// The words of what was sent.
fn text(called: &Called) -> String {
    let segments = called.params["message"].as_array().into_iter().flatten();
    let texts = segments.filter(|segment| segment["type"] == "text");
    let texts: String = texts.filter_map(|segment| segment["data"]["text"].as_str()).collect();
    texts.trim().to_owned()
}

/// Communities that talk until this is dropped.
pub struct Load {
    sim: Sim,
    board: Arc<Mutex<Board>>,
    changed: Arc<Notify>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    /// Begins to talk and to listen.
    pub fn start(sim: &Sim, communities: i64, pace: Pace) -> Self {
        let (board, changed) = (Arc::<Mutex<Board>>::default(), Arc::new(Notify::new()));
        let listen = tokio::spawn(listen(sim.clone(), board.clone(), changed.clone()));
        let talk = tokio::spawn(talk(sim.clone(), board.clone(), communities, pace));
        Self { sim: sim.clone(), board, changed, tasks: vec![talk, listen] }
    }

    pub fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().expect("nobody panics with it")
    }

    /// Waits for a condition; every answer to anybody lets it be looked at again.
    pub async fn until(&self, what: &str, mut holds: impl FnMut(&mut Board) -> bool) {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if holds(&mut self.board()) {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            let board = self.board();
            panic!("{what} did not happen; wrong so far: {:#?}", board.wrong);
        }
    }

    /// Waits until something has been answered.
    pub async fn goes_on(&self) {
        let changed = self.changed.notified();
        tokio::time::timeout(PATIENCE, changed).await.expect("an answer to somebody");
    }

    /// Somebody in an attacked community says something.
    pub fn say(&self, place: i64, words: &str) {
        self.sim.say(ATTACKED + place, MEMBER, words);
    }

    /// Asks in attacked communities whether somebody is still there, and waits for the answer,
    /// which comes after everything before it has been handled.
    pub async fn all_alive(&self, places: &[i64], token: &str) {
        for place in places {
            self.say(*place, &format!("在吗 {token}"));
        }
        let answer = format!("在 {token}");
        let what = format!("the answer `{answer}` in {places:?}");
        self.until(&what, |board| {
            let has = |place: &i64| board.attacked.contains(&(ATTACKED + place, answer.clone()));
            places.iter().all(has)
        })
        .await;
    }

    /// Says nothing more, and waits until everything has been answered.
    pub async fn finish(self) -> Board {
        self.tasks[0].abort();
        self.until("the last answers", |board| board.oldest().is_none()).await;
        std::mem::take(&mut *self.board())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.tasks.iter_mut().for_each(|task| task.abort());
    }
}

/// Six messages in ten want an echo, one is an advertisement, three are just talk.
async fn talk(sim: Sim, board: Arc<Mutex<Board>>, communities: i64, pace: Pace) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / pace.per_second);
    // What was late is made good, and counts from when it was due.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut number: usize = 0;
    let turns: Vec<i64> = groups(HONEST, communities).collect();
    loop {
        let due = ticks.tick().await;
        number += 1;
        // A step that shares nothing with ten, so that every group says everything.
        let group = turns[number * 7 % turns.len()];
        let mut board = board.lock().expect("nobody panics with it");
        board.late = board.late.max(due.elapsed());
        let waiting = board.groups.entry(group).or_default();
        if pace.window.is_some_and(|window| waiting.waits_for() >= window) {
            continue;
        }
        // Another kind each time that a group comes round.
        match (number + number / turns.len()) % 10 {
            0..6 => {
                let token = format!("t{number:07}");
                waiting.echoes.push_back((token.clone(), due));
                sim.say(group, MEMBER, &format!("echo {token}"));
            }
            6 => {
                let words = text_of(&format!("广告 {number}"));
                let message = sim.keep(group, MEMBER, words);
                waiting.deletions.push_back((message.id, due));
                sim.report(&message);
            }
            _ => drop(sim.say(group, MEMBER, "今天天气真不错，有人一起打游戏吗")),
        }
        let messages = &mut sim.world().messages;
        if messages.len() > 2 * KEPT {
            messages.drain(..KEPT);
        }
    }
}

/// Takes in what the program does.
async fn listen(sim: Sim, board: Arc<Mutex<Board>>, changed: Arc<Notify>) {
    loop {
        let asked = sim.inner.changed.notified();
        let called = std::mem::take(&mut *sim.inner.called.lock().expect("nobody panics with it"));
        if called.is_empty() {
            asked.await;
            continue;
        }
        let mut board = board.lock().expect("nobody panics with it");
        called.iter().for_each(|called| board.heard(called, &sim));
        drop(board);
        changed.notify_waiters();
    }
}
