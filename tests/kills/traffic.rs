//! Forty groups that talk as fast as they are answered: one message in ten asks for an echo, one in
//! twenty has a word that must go.

use std::collections::HashMap;

use crate::sim::Sim;

const GROUPS: usize = 40;
const FIRST_GROUP: i64 = 70_000;
const MEMBERS: usize = 20;
/// Messages of a group that come together; the last of them asks for an echo.
const BURST: usize = 10;
/// Echoes of a group that are on their way at once.
const WINDOW: usize = 1;
/// A group that has said so much since it was last answered asks for echoes only. A history of a
/// hundred messages could else be too short to tell whether an answer is there, and then the policy
/// of answers is to send it again.
const UNANSWERED_MAX: usize = 40;

/// The list that the rule looks through.
pub const WORDS: &[&str] = &["加微信", "兼职日结", "代刷资料", "投票群号", "发票代理", "棋牌上分"];

/// Chance that is the same for the same start.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % limit as u64) as usize
    }
}

/// What members say, and what of it is answered.
pub struct Traffic {
    sim: Sim,
    chance: Chance,
    /// Messages so far.
    said: usize,
    /// Echoes that were answered while somebody waited for them.
    pub answered: usize,
    /// Echoes that wait, with their group.
    waiting: HashMap<String, usize>,
    open: [usize; GROUPS],
    /// Messages of each group since it was last answered.
    unanswered: [usize; GROUPS],
    /// Messages of the world that were looked at.
    looked: usize,
}

fn group(number: usize) -> i64 {
    FIRST_GROUP + number as i64
}

impl Traffic {
    /// Groups with an admin, which is the bot, and their members.
    pub fn new(sim: &Sim, seed: u64) -> Self {
        for number in 0..GROUPS {
            let group = group(number);
            let self_id = sim.self_id();
            let mut world = sim.world();
            world.add_group(group, &format!("群{number}"));
            world.join(group, self_id, "机器人", "admin");
            for member in 0..MEMBERS as i64 {
                world.join(group, 20_000 + member, &format!("成员{member}"), "member");
            }
        }
        Self {
            sim: sim.clone(),
            chance: Chance::new(!seed),
            said: 0,
            answered: 0,
            waiting: HashMap::new(),
            open: [0; GROUPS],
            unanswered: [0; GROUPS],
            looked: 0,
        }
    }

    /// Talks until a condition holds.
    pub async fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        loop {
            let sim = self.sim.clone();
            let changed = sim.inner.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            self.hear();
            if holds(self) {
                return;
            }
            for number in 0..GROUPS {
                while self.open[number] < WINDOW {
                    self.burst(number);
                }
            }
            changed.await;
        }
    }

    /// Says nothing more, and waits for what was asked.
    pub async fn until_all_answered(&mut self) {
        let sim = self.sim.clone();
        loop {
            let changed = sim.inner.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            self.hear();
            if self.waiting.is_empty() {
                return;
            }
            changed.await;
        }
    }

    /// What was on its way when a connection ended may never be answered.
    pub fn forgive(&mut self) {
        self.hear();
        self.waiting.clear();
        self.open = [0; GROUPS];
    }

    /// Echoes that nobody answered.
    pub fn open(&self) -> Vec<&String> {
        self.waiting.keys().collect()
    }

    fn burst(&mut self, number: usize) {
        let count = if self.unanswered[number] < UNANSWERED_MAX { BURST } else { 1 };
        self.unanswered[number] += count;
        for n in 0..count {
            self.said += 1;
            let said = self.said;
            let text = if n == count - 1 {
                let token = format!("t{said}");
                let text = format!("echo {token}");
                self.waiting.insert(token, number);
                self.open[number] += 1;
                text
            } else if self.chance.below(20) == 0 {
                let word = WORDS[self.chance.below(WORDS.len())];
                format!("今天{word} {said}")
            } else {
                format!("今天天气真不错，有人一起打游戏吗 {said}")
            };
            let member = 20_000 + self.chance.below(MEMBERS) as i64;
            self.sim.say(group(number), member, &text);
        }
    }

    /// Takes in what the bot has said meanwhile.
    fn hear(&mut self) {
        let world = self.sim.world();
        for message in &world.messages[self.looked..] {
            if message.user != world.self_id {
                continue;
            }
            let number = message.group.map(|group| (group - FIRST_GROUP) as usize);
            if let Some(unanswered) = number.and_then(|number| self.unanswered.get_mut(number)) {
                *unanswered = 0;
            }
            if let Some(number) = self.waiting.remove(&message.text()) {
                self.open[number] -= 1;
                self.answered += 1;
            }
        }
        self.looked = world.messages.len();
    }
}
