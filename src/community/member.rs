//! A member: who she is here, and how far she is trusted.

use std::sync::Arc;

use super::score::{Day, Score, level};
use crate::clock::{DAY_MS, TimeMs};
use crate::id::{CommunityId, PersonId, Ref};
use crate::store::MemberRow;
use crate::value::{MemberView, Role};

/// Days after which a warning no longer counts.
pub const WARNING_DAYS: i64 = 30;

/// A warning that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warning {
    /// When, Unix ms.
    pub at: TimeMs,
    /// How much it counts.
    pub weight: i64,
}

/// A member of a community.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The account to reach her by.
    pub reference: Ref,
    /// Display name.
    pub name: Arc<str>,
    /// Name in this community.
    pub nickname: Option<Arc<str>>,
    /// Authority, by the platform or by configuration, whichever is higher.
    pub role: Role,
    /// Trust that was reached; staff counts as 4.
    pub trust: u8,
    /// A bot's account.
    pub is_bot: bool,
    /// When the present stay began.
    pub joined_at: TimeMs,
    /// When it ended.
    pub left_at: Option<TimeMs>,
    /// Messages counted.
    pub messages: i64,
    /// Local days with a message.
    pub active_days: i64,
    /// The last of them.
    pub last_day: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Warnings.
    pub warnings: Vec<Warning>,
    /// Activity score.
    pub score: Score,
}

impl Member {
    /// Somebody seen for the first time.
    pub fn new(reference: Ref, name: &str, at: TimeMs) -> Self {
        Self {
            reference,
            name: name.into(),
            nickname: None,
            role: Role::Member,
            trust: 0,
            is_bot: false,
            joined_at: at,
            left_at: None,
            messages: 0,
            active_days: 0,
            last_day: String::new(),
            tags: Vec::new(),
            warnings: Vec::new(),
            score: Score::default(),
        }
    }

    /// Has not left.
    pub fn is_here(&self) -> bool {
        self.left_at.is_none()
    }

    /// Counts as a member of the community: here, and no bot.
    pub fn counts(&self) -> bool {
        self.is_here() && !self.is_bot
    }

    /// The name to show.
    pub fn shown(&self) -> &str {
        self.nickname.as_deref().unwrap_or(&self.name)
    }

    /// Never punished, never on a board: staff and bots.
    pub fn is_immune(&self) -> bool {
        self.is_bot || self.role.is_staff()
    }

    /// Trust with staff counted as 4.
    pub fn trust(&self) -> u8 {
        if self.role.is_staff() { 4 } else { self.trust }
    }

    /// Weight of the warnings that still count.
    pub fn warnings(&self, now: TimeMs) -> i64 {
        let since = now - WARNING_DAYS * DAY_MS;
        self.warnings.iter().filter(|w| w.at > since).map(|w| w.weight).sum()
    }

    /// Counts a message sent on a local day, and raises trust where it is due. Trust is never
    /// taken away here. Gives whether more than the count has changed.
    ///
    /// Level 1: three messages and a day of membership. Level 2: ten active days and thirty
    /// messages. Higher levels need what others think of her, which scoring will bring.
    pub fn count_message(&mut self, now: TimeMs, day: &str) -> bool {
        let before = (self.active_days, self.trust);
        self.messages += 1;
        if self.last_day != day {
            day.clone_into(&mut self.last_day);
            self.active_days += 1;
        }
        if self.trust < 1 && self.messages >= 3 && now - self.joined_at >= DAY_MS {
            self.trust = 1;
        }
        if self.trust == 1 && self.active_days >= 10 && self.messages >= 30 {
            self.trust = 2;
        }
        before != (self.active_days, self.trust)
    }

    /// What scripts may see.
    pub fn view(&self, id: PersonId, points: i64, now: TimeMs, today: Day) -> MemberView {
        MemberView {
            id,
            name: Arc::clone(&self.name),
            nickname: Arc::clone(self.nickname.as_ref().unwrap_or(&self.name)),
            role: self.role,
            trust: self.trust(),
            points,
            tags: self.tags.clone(),
            joined_at: self.joined_at,
            messages: self.messages,
            warnings: self.warnings(now),
            is_bot: self.is_bot,
            score: self.score.points(today),
            level: level(self.score.at(today)),
        }
    }

    /// As the database keeps it.
    pub fn row(&self, community: CommunityId, person: PersonId) -> MemberRow {
        MemberRow {
            community,
            person,
            reference: self.reference.clone(),
            name: self.name.to_string(),
            nickname: self.nickname.as_deref().map(str::to_owned),
            role: self.role.as_str(),
            trust: self.trust,
            is_bot: self.is_bot,
            joined_at: self.joined_at,
            left_at: self.left_at,
            messages: self.messages,
            counted: self.score.counted,
            active_days: self.active_days,
            last_day: self.last_day.clone(),
            tags: self.tags.clone(),
        }
    }
}

impl From<MemberRow> for Member {
    fn from(row: MemberRow) -> Self {
        Self {
            reference: row.reference,
            name: row.name.into(),
            nickname: row.nickname.map(Into::into),
            role: Role::parse(row.role).unwrap_or_default(),
            trust: row.trust,
            is_bot: row.is_bot,
            joined_at: row.joined_at,
            left_at: row.left_at,
            messages: row.messages,
            active_days: row.active_days,
            last_day: row.last_day,
            tags: row.tags,
            warnings: Vec::new(),
            score: Score { counted: row.counted, ..Score::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn somebody() -> Member {
        Member::new(Ref::new("console", "小红"), "小红", 0)
    }

    #[test]
    fn trust_grows_with_days_and_messages_and_staff_has_it_all() {
        let mut member = somebody();
        for day in 0..12 {
            for _ in 0..3 {
                member.count_message(day * DAY_MS + 1, &format!("day {day}"));
            }
            let expected = match day {
                0 => 0,
                1..=8 => 1,
                _ => 2,
            };
            assert_eq!(member.trust(), expected, "day {day}");
        }
        member.role = Role::Mod;
        assert_eq!(member.trust(), 4);
    }

    #[test]
    fn warnings_expire() {
        let mut member = somebody();
        member.warnings.push(Warning { at: 0, weight: 2 });
        member.warnings.push(Warning { at: 10 * DAY_MS, weight: 1 });
        assert_eq!(member.warnings(20 * DAY_MS), 3);
        assert_eq!(member.warnings(31 * DAY_MS), 1);
    }
}
