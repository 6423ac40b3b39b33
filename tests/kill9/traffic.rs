//! What members say, as a platform that waits for an answer brings it.

use qundao::adapter::{Accepted, Inbox};
use qundao::clock::TimeMs;
use qundao::script::protocol::Source;
use tokio::sync::oneshot;

use crate::world::{message, script, shipped};

pub const GROUPS: usize = 5;
pub const MEMBERS: usize = 20;

/// Counts messages, so that one that is handled twice shows.
const COUNT: &str = "//! 数数\ncommand(\"数\", |c| {\n    \
    let n = state::incr(\"community\", \"n\");\n    \
    points::grant(c.member, 1, \"数\");\n    c.reply(`${n}`);\n});\n";

/// Rings once for each time that it was asked to.
const ALARM: &str = "//! 闹钟\ncommand(\"闹\", |c| {\n    \
    let n = state::incr(\"community\", \"n\");\n    after(\"1s\", \"ring\", n);\n});\n\
    on_timer(\"ring\", |t| say(`叮 ${t.data}`));\n";

/// Scripts that the traffic is for.
pub fn scripts() -> Vec<Source> {
    vec![script("count", COUNT), script("alarm", ALARM), shipped("red_packet"), shipped("checkin")]
}

/// Chance that is the same for the same start.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % limit.max(1) as u64) as usize
    }
}

/// One line: key, group, person, text.
pub fn event(chance: &mut Chance, number: usize) -> String {
    let group = chance.below(GROUPS);
    let text = match chance.below(20) {
        0 => "红包 60 6 大家好",
        1..=5 => "抢",
        6 => "签到",
        7 => "退红包",
        8 => "闹",
        9 => "随便说说",
        _ => "数",
    };
    format!("e{number} g{group} g{group}-{} {text}", chance.below(MEMBERS))
}

/// Offers a line; returns its key, and whether it was accepted as soon as that is known.
pub async fn offer(
    inbox: &dyn Inbox,
    line: &str,
    now: TimeMs,
) -> (String, impl Future<Output = bool> + Send + 'static) {
    let mut parts = line.splitn(4, ' ');
    let mut next = || parts.next().unwrap_or_default().to_owned();
    let (key, group, person, text) = (next(), next(), next(), next());
    let (receipt, heard) = oneshot::channel();
    inbox.offer(message(&key, &group, &person, &text, now), Some(receipt)).await;
    (key, async move { matches!(heard.await, Ok(Accepted::New | Accepted::Duplicate)) })
}
