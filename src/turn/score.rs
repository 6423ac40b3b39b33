//! Scoring: the last thing that a turn does with a message, so that what a rule deleted gives
//! nothing.

use std::sync::Arc;

use super::Turn;
use crate::clock::{DAY_MS, TimeMs};
use crate::community::score::{ADDED_A_DAY, Closed, Day, Kind, LIKE, POINT, REPLY, sketch};
use crate::dispatch::Dispatch;
use crate::event::{EventKind, Quote};
use crate::id::{GroupId, PersonId};
use crate::report::Line;
use crate::store::{RelationRow, ScoreEntryRow, ScoreRow};

/// The local day of a moment, counted since 1970.
pub(super) fn day_of(now: TimeMs, utc_offset_s: i32) -> Day {
    (now + i64::from(utc_offset_s) * 1000).div_euclid(DAY_MS)
}

impl Turn {
    /// Scores what the event says about people.
    pub(super) fn score(&mut self, dispatch: &Dispatch) {
        let event = Arc::clone(&self.event);
        let (Some(group), Some(person)) = (event.group, event.person) else { return };
        if self.community.members.get(&person).is_none_or(|member| member.is_bot) {
            return;
        }
        match &event.envelope.kind {
            EventKind::Message { id, elements, quote, .. } => {
                self.community.authors.note(group, id, person);
                let is_command = dispatch.command.is_some()
                    || dispatch.refused.is_some()
                    || dispatch.usage.is_some();
                // Of what is too old nobody looked whether it was a command.
                if is_command || self.is_deleted || event.stale {
                    return;
                }
                if let Some(quote) = quote
                    && let Some(author) = self.quoted(group, quote)
                {
                    self.credit(author, person, Kind::Reply, REPLY);
                }
                self.count(person, elements);
            }
            EventKind::Reaction { message, added: true, .. } => {
                if let Some(author) = self.community.authors.of(group, message) {
                    self.credit(author, person, Kind::Like, LIKE);
                }
            }
            EventKind::Reaction { .. }
            | EventKind::Edited { .. }
            | EventKind::Deleted { .. }
            | EventKind::Button { .. }
            | EventKind::Joined { .. }
            | EventKind::Left { .. }
            | EventKind::Updated
            | EventKind::JoinRequest { .. }
            | EventKind::Silenced { .. }
            | EventKind::BotJoined { .. }
            | EventKind::BotLeft { .. }
            | EventKind::Uploaded { .. }
            | EventKind::Poked { .. }
            | EventKind::Honored { .. }
            | EventKind::Befriended
            | EventKind::Online(_)
            | EventKind::Gap { .. }
            | EventKind::Tick(_) => {}
        }
    }

    fn quoted(&self, group: GroupId, quote: &Quote) -> Option<PersonId> {
        let by_account = quote.author.as_ref().and_then(|id| self.community.member_by_ref(id));
        by_account
            .map(|(person, _)| person)
            .or_else(|| self.community.authors.of(group, &quote.message))
    }

    /// Counts a message that says enough; what costs least is asked first.
    fn count(&mut self, person: PersonId, elements: &[crate::event::Element]) {
        let (now, community) = (self.now, &mut *self.community);
        let today = community.today;
        let Some(member) = community.members.get_mut(&person) else { return };
        if !member.score.has_room(today) {
            return;
        }
        let talk = community.talks.of(person, today);
        if !talk.is_apart(now) {
            return;
        }
        let Some(sketch) = sketch(elements) else { return };
        if !talk.is_new(sketch) {
            return;
        }
        let Some(counted) = member.score.count_message(today) else { return };
        talk.note(now);
        self.counted = Some(member.score.counted);
        if counted.is_beyond_mark {
            self.made.scored.push(person);
            self.close(person, counted.closed);
        }
    }

    /// Gives a member what somebody's answer or reaction gives, once a day for each pair.
    fn credit(&mut self, to: PersonId, from: PersonId, kind: Kind, weight: i64) {
        let today = self.community.today;
        let may = to != from
            && self.community.members.get(&to).is_some_and(|member| !member.is_bot)
            && self.community.pairs.is_first(to, from, kind, today);
        if !may {
            return;
        }
        self.add_to_score(to, kind, weight, Some(from), String::new());
        let (mut replied, mut liked) = (0, 0);
        *(if kind == Kind::Reply { &mut replied } else { &mut liked }) = today;
        let community = self.community.id;
        let row = RelationRow { community, person: to, source: from, replied, liked };
        self.made.relations.push(row);
    }

    /// Performs `score::add`.
    pub(super) fn score_add(
        &mut self,
        person: PersonId,
        points: i64,
        kind: Kind,
        reason: String,
    ) -> Result<(), &'static str> {
        let today = self.community.today;
        let member = self.community.members.get(&person).ok_or("not a member")?;
        if member.is_bot {
            return Err("bots have no score");
        }
        let weight = points * POINT;
        let before = if member.score.day == today { member.score.added } else { 0 };
        if before + weight > ADDED_A_DAY {
            return Err("scripts add no more than 50 points a day to a score");
        }
        self.add_to_score(person, kind, weight, None, reason);
        if let Some(member) = self.community.members.get_mut(&person) {
            member.score.added += weight;
        }
        let member = self.name_of(person);
        self.say_line(Line::Scored { member, points });
        Ok(())
    }

    fn add_to_score(
        &mut self,
        person: PersonId,
        kind: Kind,
        weight: i64,
        source: Option<PersonId>,
        reason: String,
    ) {
        let today = self.community.today;
        let Some(member) = self.community.members.get_mut(&person) else { return };
        let closed = member.score.add(today, weight);
        let day = member.score.day;
        self.made.scored.push(person);
        self.close(person, closed);
        self.log(person, day, kind, weight, source, reason);
    }

    /// Writes the messages of a day that is over into the log.
    fn close(&mut self, person: PersonId, closed: Option<Closed>) {
        if let Some(Closed { day, weight }) = closed {
            self.log(person, day, Kind::Message, weight, None, String::new());
        }
    }

    fn log(
        &mut self,
        person: PersonId,
        day: Day,
        kind: Kind,
        weight: i64,
        source: Option<PersonId>,
        reason: String,
    ) {
        let (community, event) = (self.community.id, self.event.id);
        let n = self.made.score_log.len() as i64;
        self.made.score_log.push(ScoreEntryRow {
            community,
            person,
            day,
            kind,
            event,
            n,
            weight,
            source,
            reason,
        });
    }

    /// The rows of scores that have changed.
    pub(super) fn score_rows(&self, mut people: Vec<PersonId>) -> Vec<ScoreRow> {
        people.sort_unstable();
        people.dedup();
        let community = self.community.id;
        let row = |person: PersonId| {
            let score = self.community.members.get(&person)?.score;
            let days = format!("{:x}", score.days);
            let (score, day, added) = (score.value, score.day, score.added);
            Some(ScoreRow { community, person, score, day, days, added })
        };
        people.into_iter().filter_map(row).collect()
    }
}
