//! How much the bot posts unasked, when, and who goes first: slots, a budget a day, quiet hours.
//!
//! A group in which a bot talks all day is muted. Every community has a budget of posts a day, some
//! kinds of posts have hours of their own, and at night there is silence. What does not fit is left
//! out, least important first, and told to the people who run the bot.

use std::sync::Arc;

use super::spec::{DayMinute, shown_minute};

/// Most posts a day, whatever is configured.
pub const POSTS_MAX: usize = 6;
/// Kinds of posts.
pub const KINDS: [&str; 9] =
    ["news", "hot", "positive", "atmosphere", "topic", "poll", "practical", "welfare", "guest"];
/// Names of profiles with their posts a day.
pub const PROFILES: [(&str, usize); 3] = [("quiet", 2), ("normal", 4), ("busy", 5)];

/// `[posting]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// `quiet`, `normal` or `busy`.
    pub profile: String,
    /// Silence begins.
    pub quiet_from: DayMinute,
    /// Silence ends.
    pub quiet_to: DayMinute,
    /// Hours of some kinds of posts.
    pub slots: Vec<PostingSlot>,
}

/// `[[posting.slot]]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostingSlot {
    /// Its name.
    pub name: String,
    /// It begins.
    pub from: DayMinute,
    /// It ends.
    pub to: DayMinute,
    /// What is posted in it.
    pub kinds: Vec<String>,
}

impl Default for Posting {
    fn default() -> Self {
        let slot = |name: &str, from, to, kinds: &[&str]| PostingSlot {
            name: name.to_owned(),
            from,
            to,
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        };
        Self {
            profile: "normal".to_owned(),
            quiet_from: 23 * 60,
            quiet_to: 8 * 60,
            slots: vec![
                slot("morning", 8 * 60, 10 * 60, &["news", "hot", "positive"]),
                slot("noon", 11 * 60 + 30, 13 * 60 + 30, &["atmosphere", "topic", "poll"]),
                slot("evening", 18 * 60, 24 * 60, &["practical", "welfare", "guest"]),
            ],
        }
    }
}

/// A post of the day: what it is and how important.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Its routine.
    pub name: Arc<str>,
    /// More is more important.
    pub priority: i64,
}

impl Posting {
    /// Posts a day.
    pub fn budget(&self) -> usize {
        let found = PROFILES.iter().find(|(name, _)| *name == self.profile);
        found.map_or(POSTS_MAX, |(_, posts)| *posts).min(POSTS_MAX)
    }

    /// Whether a post may go out now; `later` are those that are planned for the rest of the day.
    ///
    /// # Errors
    /// Why not.
    pub fn check(
        &self,
        kind: &str,
        priority: i64,
        now: DayMinute,
        today: usize,
        later: &[Post],
    ) -> Result<(), String> {
        if self.is_quiet(now) {
            let (from, to) = (shown_minute(self.quiet_from), shown_minute(self.quiet_to));
            return Err(format!("quiet hours {from}–{to}"));
        }
        let mut own = self.slots.iter().filter(|slot| slot.has(kind)).peekable();
        if let Some(slot) = own.peek().copied()
            && !own.any(|slot| (slot.from..slot.to).contains(&now))
        {
            let (from, to) = (shown_minute(slot.from), shown_minute(slot.to));
            return Err(format!("outside the slot `{}`, {from}–{to}", slot.name));
        }
        let budget = self.budget();
        let Some(left) = budget.checked_sub(today).filter(|left| *left > 0) else {
            return Err(format!("the budget of {budget} posts a day is used up"));
        };
        let mut before: Vec<&Post> = later.iter().filter(|post| post.priority > priority).collect();
        before.sort_by_key(|post| -post.priority);
        match before.get(left - 1) {
            Some(post) => Err(format!("the rest of the budget is kept for `{}`", post.name)),
            None => Ok(()),
        }
    }

    /// Whether it is night.
    pub fn is_quiet(&self, now: DayMinute) -> bool {
        if self.quiet_from <= self.quiet_to {
            (self.quiet_from..self.quiet_to).contains(&now)
        } else {
            now >= self.quiet_from || now < self.quiet_to
        }
    }
}

impl PostingSlot {
    /// Whether this kind is posted in it.
    pub fn has(&self, kind: &str) -> bool {
        self.kinds.iter().any(|own| own == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(priorities: &[i64]) -> Vec<Post> {
        let posts = priorities.iter();
        posts
            .map(|priority| Post { name: format!("p{priority}").into(), priority: *priority })
            .collect()
    }

    #[test]
    fn slots_and_quiet_hours() {
        let posting = Posting::default();
        let check = |kind, hour: u16, minute| posting.check(kind, 5, hour * 60 + minute, 0, &[]);
        assert_eq!(check("news", 8, 0), Ok(()));
        assert_eq!(check("news", 9, 59), Ok(()));
        assert!(check("news", 10, 0).unwrap_err().contains("slot `morning`, 08:00–10:00"));
        assert!(check("news", 7, 59).unwrap_err().contains("quiet hours 23:00–08:00"));
        assert!(check("welfare", 23, 0).unwrap_err().contains("quiet hours"));
        assert_eq!(check("something", 15, 0), Ok(()));
    }

    #[test]
    fn the_rest_of_the_budget_is_kept_for_what_is_more_important() {
        let posting = Posting::default();
        let check =
            |priority, today, later: &[Post]| posting.check("x", priority, 600, today, later);
        assert!(check(5, 4, &[]).unwrap_err().contains("budget of 4"));
        assert_eq!(check(5, 3, &later(&[5, 5])), Ok(()));
        assert!(check(5, 3, &later(&[5, 9])).unwrap_err().contains("`p9`"));
        assert_eq!(check(5, 2, &later(&[9])), Ok(()));
        assert!(check(5, 2, &later(&[9, 6])).unwrap_err().contains("`p6`"));
        assert_eq!(check(9, 2, &later(&[9, 6])), Ok(()));
    }
}
