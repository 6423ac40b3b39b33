//! What happens in a world, one operation after the other; drawn before it begins, so that a failing
//! world can be shrunk by leaving operations out.

use qundao::clock::TimeMs;

use crate::cast::{Cast, GROUPS};
use crate::draw::Draw;
use crate::rates::Rates;

const SECOND_MS: i64 = 1000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// One operation.
#[derive(Clone, Debug)]
pub struct Op {
    /// Its number, which stays when others are left out.
    pub id: u64,
    /// When, after the beginning of the world.
    pub after_ms: i64,
    /// What.
    pub what: What,
}

/// What happens.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub enum What {
    /// A member writes.
    Say { group: usize, member: usize, text: String },
    /// A member writes to the bot alone.
    Direct { group: usize, member: usize, text: String },
    /// An admin gives points to a member.
    Grant { group: usize, to: usize, amount: i64 },
    /// A member presses the button of the latest packet.
    Press { group: usize, member: usize },
    /// A member reacts to a message.
    React { group: usize, member: usize },
    /// A member leaves.
    Leave { group: usize, member: usize },
    /// A member joins.
    Join { group: usize, member: usize },
    /// Somebody plays an old event once more.
    Replay { back: u64 },
    /// The process ends at once; another begins later.
    Crash { down_ms: i64 },
    /// The process is told to end.
    Stop { down_ms: i64 },
    /// The process stands still.
    Pause { ms: i64 },
    /// The machine's clock is wrong from now on.
    Jump { by_ms: i64 },
    /// The machine's clock is put right.
    Correct,
    /// Other scripts come in force.
    Reload { has_extra: bool },
    /// A script that does not work is saved.
    Break,
    /// The disk is full for a while.
    DiskFull { ms: i64 },
    /// A platform is away for a while.
    Disconnect { platform: usize, ms: i64 },
}

/// Everything that a run depends on.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Who is there.
    pub cast: Cast,
    /// How often things go wrong.
    pub rates: Rates,
    /// What happens.
    pub ops: Vec<Op>,
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64, ops: usize) -> Self {
        let (cast, rates) = (Cast::of(seed), Rates::of(seed));
        let ops = Author::new(seed, &cast, &rates).write(ops);
        Self { seed, cast, rates, ops }
    }

    /// Whether the machine's clock is ever wrong.
    pub fn has_jumps(&self) -> bool {
        self.ops.iter().any(|op| matches!(op.what, What::Jump { .. }))
    }
}

/// Draws operations.
struct Author {
    draw: Draw,
    members: usize,
    /// How often something happens to the process, of 10 000.
    trouble: u64,
    has_jumps: bool,
    ops: Vec<Op>,
    now_ms: i64,
}

impl Author {
    fn new(seed: u64, cast: &Cast, rates: &Rates) -> Self {
        let mut draw = Draw::new(seed, "ops");
        let is_calm = rates.repeats_max == 1 && rates.lost == 0;
        let trouble = if is_calm { 100 } else { draw.below(1200) };
        let has_jumps = draw.chance(3000) && !is_calm;
        Self { draw, members: cast.members, trouble, has_jumps, ops: Vec::new(), now_ms: 0 }
    }

    fn write(mut self, count: usize) -> Vec<Op> {
        let days = self.draw.between(1, 3);
        let bursts = (count / 8).max(1) as i64;
        while self.ops.len() < count || self.now_ms < DAY_MS {
            self.now_ms += self.draw.between(SECOND_MS, 2 * days * DAY_MS / bursts);
            for _ in 0..self.draw.below(16) {
                if self.draw.chance(self.trouble) {
                    self.trouble();
                } else {
                    self.deed();
                }
                let gap = *self.draw.pick(&[0, 0, 1, 10, 300, 2000, 20_000]);
                self.now_ms += gap;
            }
        }
        self.ops
    }

    fn note(&mut self, what: What) {
        let id = self.ops.len() as u64;
        self.ops.push(Op { id, after_ms: self.now_ms, what });
    }

    fn group(&mut self) -> usize {
        self.draw.below(GROUPS.len() as u64) as usize
    }

    fn member(&mut self) -> usize {
        self.draw.below(self.members as u64) as usize
    }

    fn say(&mut self, text: String) {
        let (group, member) = (self.group(), self.member());
        self.note(What::Say { group, member, text });
    }

    /// Something that a member does.
    fn deed(&mut self) {
        let (group, member) = (self.group(), self.member());
        match self.draw.below(100) {
            0..30 => self.say("大家好".to_owned()),
            30..36 => self.say("签到".to_owned()),
            36..39 => self.say("积分".to_owned()),
            39..41 => self.say("积分明细".to_owned()),
            41..43 => self.say("排行榜".to_owned()),
            43..49 => {
                let (total, count) = (self.draw.between(1, 90), self.draw.between(1, 5));
                let kind = *self.draw.pick(&["红包", "红包", "平均红包"]);
                self.say(format!("{kind} {total} {count}"));
            }
            49..62 => self.grabs(group),
            62..65 => self.say("退红包".to_owned()),
            65..71 => self.say("两句".to_owned()),
            71..74 => self.say("炸".to_owned()),
            74..77 => self.say("发广告了".to_owned()),
            77..80 => {
                let delay = *self.draw.pick(&["3s", "5m", "2h", "30h"]);
                self.say(format!("提醒 {delay}"));
            }
            80..82 => self.say("收起".to_owned()),
            82..86 => {
                let amount = self.draw.between(1, 50);
                self.note(What::Grant { group, to: member, amount });
            }
            86..89 => self.note(What::React { group, member }),
            89..91 => self.note(What::Leave { group, member }),
            91..93 => self.note(What::Join { group, member }),
            93..94 => self.rejoin(group, member),
            94..96 => self.say("另外".to_owned()),
            96..97 => {
                self.note(What::Say {
                    group, member: 0, text: "定时 加 21:30 晚上好".to_owned()
                })
            }
            98..99 => {
                let text = (*self.draw.pick(&["积分", "签到", "你好", "我的签到"])).to_owned();
                self.note(What::Direct { group, member, text });
            }
            97..98 => {
                self.note(What::Say { group, member: 0, text: "取消定时 加".to_owned() })
            }
            _ => {
                let back = self.draw.below(60);
                self.note(What::Replay { back });
            }
        }
    }

    /// Several want the same share, and one of them wants it twice.
    fn grabs(&mut self, group: usize) {
        for _ in 0..self.draw.between(1, 4) {
            let member = self.member();
            let times = if self.draw.chance(3000) { 2 } else { 1 };
            for _ in 0..times {
                if self.draw.chance(3000) {
                    self.note(What::Press { group, member });
                } else {
                    self.note(What::Say { group, member, text: "抢".to_owned() });
                }
            }
        }
    }

    /// Somebody leaves, comes back and wants a share.
    fn rejoin(&mut self, group: usize, member: usize) {
        self.note(What::Leave { group, member });
        self.now_ms += 500;
        self.note(What::Join { group, member });
        self.now_ms += 500;
        self.note(What::Say { group, member, text: "抢".to_owned() });
    }

    /// Something that happens to the process, its disk, its clock or its platforms.
    fn trouble(&mut self) {
        let short = *self.draw.pick(&[1, 200, 5 * SECOND_MS, 60 * SECOND_MS]);
        let long = *self.draw.pick(&[SECOND_MS, 60 * SECOND_MS, HOUR_MS, 9 * HOUR_MS]);
        match self.draw.below(100) {
            0..35 => self.note(What::Crash { down_ms: long }),
            35..45 => self.note(What::Stop { down_ms: long }),
            45..52 => self.note(What::Pause { ms: long.min(HOUR_MS) }),
            52..62 if self.has_jumps => self.jump(),
            52..65 => {
                let has_extra = self.draw.chance(5000);
                self.note(What::Reload { has_extra });
            }
            65..72 => self.note(What::Break),
            72..82 => self.note(What::DiskFull { ms: short }),
            _ => {
                let platform = self.draw.below(3) as usize;
                self.note(What::Disconnect { platform, ms: long.min(HOUR_MS) });
            }
        }
    }

    fn jump(&mut self) {
        let size = *self.draw.pick(&[SECOND_MS, 90 * SECOND_MS, HOUR_MS, DAY_MS, 365 * DAY_MS]);
        let by_ms = if self.draw.chance(5000) { size } else { -size };
        self.note(What::Jump { by_ms });
        self.now_ms +=
            *self.draw.pick(&[SECOND_MS, 30 * SECOND_MS, 10 * 60 * SECOND_MS, 2 * HOUR_MS]);
        self.note(What::Correct);
    }
}

/// When an operation happens.
pub fn at(cast: &Cast, op: &Op) -> TimeMs {
    cast.begin + op.after_ms
}
