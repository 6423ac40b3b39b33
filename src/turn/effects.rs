//! Effects of handlers: judged, turned into deliveries and changes, and told in the report.

use super::Turn;
use crate::clock::TimeMs;
use crate::community::Warning;
use crate::effect::{Call, Destination, Effect};
use crate::event::{Element, EventKind};
use crate::id::{GroupId, PersonId, Ref, ScriptName};
use crate::report::Line;
use crate::store::{TimerRow, WarningRow};
use crate::value::Role;

/// Longest life of a mute, ms: 30 days, the longest that platforms take.
const MUTE_MAX_MS: i64 = 30 * 24 * 3_600_000;

/// Tags of one member; every view of her carries them.
const TAGS_MAX: usize = 50;

/// Why an effect is not performed.
pub(super) type Skip = &'static str;

impl Turn {
    /// Performs the effects of one run.
    pub(super) fn apply(&mut self, run: usize, script: &ScriptName, effects: Vec<Effect>) {
        self.current = Some(run);
        for effect in effects {
            let word = effect.word();
            if let Err(reason) = self.perform(script, effect) {
                self.say_line(Line::Skipped { effect: word.to_owned(), reason: reason.to_owned() });
            }
        }
        self.current = None;
    }

    /// Tells what the effects of a shadow run would have been.
    pub(super) fn tell_shadow(&mut self, run: usize, script: &ScriptName, effects: &[Effect]) {
        self.current = Some(run);
        for effect in effects {
            if let Some(line) = self.line_of(effect) {
                let line = Line::Shadow { script: script.clone(), line: Box::new(line) };
                self.say_line(line);
            }
        }
        self.current = None;
    }

    fn perform(&mut self, script: &ScriptName, effect: Effect) -> Result<(), Skip> {
        if self.event.stale && effect.is_visible() {
            return Err("the event is too old to be answered");
        }
        if let Some(person) = self.punished(script, &effect) {
            self.check_immunity(person)?;
        }
        self.check_caller(&effect)?;
        self.count_removal(&effect)?;
        let line = self.line_of(&effect);
        match effect {
            Effect::Reply { content, private } => {
                let only_for = private.then(|| self.actor_ref()).flatten();
                self.reply(Some(script), content, only_for)?;
            }
            Effect::Say { group, content, slot } => {
                for to in self.places(group)? {
                    let (content, slot) = (content.clone(), slot.clone());
                    let call = Call::Send { content, reply_to: None, only_for: None, slot };
                    self.deliver(Some(script), to, call)?;
                }
            }
            Effect::Dm { person, content } => {
                let to = self.direct(person)?;
                let call = Call::Send { content, reply_to: None, only_for: None, slot: None };
                self.deliver(Some(script), to, call)?;
            }
            Effect::Card { key, content } => {
                let to = self.destination(None)?;
                self.deliver(Some(script), to, Call::Card { key, content, message: None })?;
            }
            Effect::Delete { reason } => {
                let message = self.message_id()?;
                let to = self.destination(None)?;
                self.deliver(Some(script), to, Call::Delete { message: message.clone() })?;
                self.audit(script, "delete", self.event.person, message, reason);
                self.is_deleted = true;
            }
            Effect::React { emoji } => {
                let message = self.message_id()?;
                let to = self.destination(None)?;
                self.deliver(Some(script), to, Call::React { message, emoji })?;
            }
            Effect::Pin => {
                let message = self.message_id()?;
                let to = self.destination(None)?;
                self.deliver(Some(script), to, Call::Pin { message })?;
            }
            Effect::Warn { person, reason, weight } => self.warn(script, person, reason, weight),
            Effect::Mute { person, duration_ms, reason } => {
                let until = self.now + duration_ms.clamp(1000, MUTE_MAX_MS);
                self.punish(script, person, "mute", reason, |member| Call::Mute { member, until })?;
            }
            Effect::Unmute { person } => {
                self.punish(script, person, "unmute", String::new(), |member| Call::Unmute {
                    member,
                })?;
            }
            Effect::Kick { person, reason } => {
                self.punish(script, person, "kick", reason, |member| Call::Kick { member })?;
            }
            Effect::Ban { person, reason } => {
                self.punish(script, person, "ban", reason, |member| Call::Ban { member })?;
            }
            Effect::SetAdmin { person, on } => {
                self.check_may_appoint()?;
                let reason = if on { "on" } else { "off" }.to_owned();
                self.punish(script, person, "set_admin", reason, |member| Call::SetAdmin {
                    member,
                    on,
                })?;
            }
            Effect::Rename { person, name } => {
                self.punish(script, person, "rename", name.clone(), |member| Call::Rename {
                    member,
                    name,
                })?;
            }
            Effect::Admit { yes, reason } => self.admit(script, yes, reason)?,
            Effect::Tag { person, tag } => self.tag(person, tag, true)?,
            Effect::Untag { person, tag } => self.tag(person, tag, false)?,
            Effect::Score { person, points, kind, reason } => {
                return self.score_add(person, points, kind, reason);
            }
            Effect::After { delay_ms, name, data } => {
                self.wake_later(script, delay_ms, name, &data)?;
            }
        }
        if let Some(line) = line {
            self.say_line(line);
        }
        Ok(())
    }

    /// Answers where the event happened.
    pub(super) fn reply(
        &mut self,
        script: Option<&ScriptName>,
        content: Vec<Element>,
        only_for: Option<Ref>,
    ) -> Result<(), Skip> {
        let to = self.destination(None)?;
        let reply_to = self.message_id().ok();
        self.deliver(script, to, Call::Send { content, reply_to, only_for, slot: None })
    }

    /// Whom an effect punishes. A rule that takes a message away punishes its author; a command
    /// that does so tidies up.
    fn punished(&self, script: &ScriptName, effect: &Effect) -> Option<PersonId> {
        let by_rule = self.plan.manifest(script).is_some_and(|manifest| manifest.is_rule);
        match effect {
            Effect::Delete { .. } if by_rule => {
                self.event.person.filter(|person| self.community.members.contains_key(person))
            }
            other => other.punishes(),
        }
    }

    fn check_immunity(&self, person: PersonId) -> Result<(), Skip> {
        match self.community.members.get(&person) {
            Some(member) if member.is_immune() => Err("staff and bots are never punished"),
            Some(_) => Ok(()),
            None => Err("not a member"),
        }
    }

    fn punish(
        &mut self,
        script: &ScriptName,
        person: PersonId,
        action: &str,
        reason: String,
        call: impl FnOnce(Ref) -> Call,
    ) -> Result<(), Skip> {
        let member = self.community.members.get(&person).ok_or("not a member")?;
        let object = member.reference.clone();
        let to = self.destination(None)?;
        self.deliver(Some(script), to, call(object.clone()))?;
        self.audit(script, action, Some(person), object.to_string(), reason);
        Ok(())
    }

    /// Nobody gets through the bot what she could not do herself, and no rule appoints by itself.
    fn check_may_appoint(&self) -> Result<(), Skip> {
        let actor = self.event.person.and_then(|person| self.community.members.get(&person));
        let may = actor.is_some_and(|member| member.role >= Role::Admin);
        if may { Ok(()) } else { Err("only an admin or the owner makes admins") }
    }

    fn admit(&mut self, script: &ScriptName, yes: bool, reason: String) -> Result<(), Skip> {
        let EventKind::JoinRequest { token, .. } = &self.event.envelope.kind else {
            return Err("the event is no join request");
        };
        let (token, to) = (token.clone(), self.destination(None)?);
        let object = self.actor_ref().map_or_else(String::new, |id| id.to_string());
        let action = if yes { "approve" } else { "deny" };
        self.deliver(Some(script), to, Call::Admit { token, yes, reason: reason.clone() })?;
        self.audit(script, action, self.event.person, object, reason);
        Ok(())
    }

    fn warn(&mut self, script: &ScriptName, person: PersonId, reason: String, weight: i64) {
        let weight = weight.max(1);
        let Some(member) = self.community.members.get_mut(&person) else { return };
        member.warnings.push(Warning { at: self.now, weight });
        let object = member.reference.to_string();
        self.made.warnings.push(WarningRow {
            community: self.community.id,
            person,
            event: self.event.id,
            n: self.made.warnings.len() as i64,
            reason: reason.clone(),
            weight,
            script: script.to_string(),
            at: self.now,
        });
        self.audit(script, "warn", Some(person), object, reason);
    }

    pub(super) fn tag(&mut self, person: PersonId, tag: String, add: bool) -> Result<(), Skip> {
        let Some(member) = self.community.members.get_mut(&person) else { return Ok(()) };
        member.tags.retain(|old| *old != tag);
        if add {
            if member.tags.len() >= TAGS_MAX {
                return Err("a member has no more than 50 tags");
            }
            member.tags.push(tag);
        }
        self.made.members.push(person);
        Ok(())
    }

    /// A timer of the same script, name and place that already waits is replaced.
    fn wake_later(
        &mut self,
        script: &ScriptName,
        delay_ms: i64,
        name: String,
        data: &crate::value::Value,
    ) -> Result<(), Skip> {
        let group = self.event.group;
        let data = serde_json::to_string(data).map_err(|_| "its data has no JSON form")?;
        let same = self.community.timers.values().find(|timer| {
            timer.script == script.as_str()
                && timer.name == name
                && timer.group == group
                && timer.data == data
        });
        if let Some(id) = same.map(|timer| timer.id) {
            self.remove_timer(id);
        }
        let mine = self.community.timers.values().filter(|t| t.script == script.as_str()).count();
        if mine >= self.world.limits().timers {
            return Err("limit `timers` is reached");
        }
        self.add_timer(TimerRow {
            id: self.world.numbers.timer(),
            community: self.community.id,
            group,
            script: script.to_string(),
            name,
            due: self.now + delay_ms.max(0),
            data,
        });
        Ok(())
    }

    /// Where a post goes: a routine's to all groups that it is for.
    pub(super) fn places(&self, group: Option<GroupId>) -> Result<Vec<Destination>, Skip> {
        let Some(routine) = self.routine.as_ref().filter(|_| group.is_none()) else {
            return self.destination(group).map(|to| vec![to]);
        };
        let is_for = |group: &Ref| routine.groups.is_empty() || routine.groups.contains(group);
        let groups = self.world.groups_of(self.community.id).into_iter().filter(is_for);
        let found: Vec<Destination> = groups.map(Destination::Group).collect();
        if found.is_empty() { Err("there is no group for it") } else { Ok(found) }
    }

    pub(super) fn destination(&self, group: Option<GroupId>) -> Result<Destination, Skip> {
        match group.or(self.event.group) {
            Some(id) => {
                let place = self.world.group(id).ok_or("no such group")?;
                if place.community != self.community.id {
                    return Err("that group belongs to another community");
                }
                Ok(Destination::Group(place.reference))
            }
            None => Ok(Destination::Direct(self.actor_ref().ok_or("there is nobody to answer")?)),
        }
    }

    fn direct(&self, person: PersonId) -> Result<Destination, Skip> {
        let member = self.community.members.get(&person).ok_or("not a member")?;
        Ok(Destination::Direct(member.reference.clone()))
    }

    fn actor_ref(&self) -> Option<Ref> {
        self.event.envelope.actor.as_ref().map(|actor| actor.id.clone())
    }

    fn message_id(&self) -> Result<String, Skip> {
        match &self.event.envelope.kind {
            EventKind::Message { id, .. } | EventKind::Edited { id, .. } => Ok(id.clone()),
            EventKind::Reaction { message, .. } | EventKind::Button { message, .. } => {
                Ok(message.clone())
            }
            _ => Err("the event has no message"),
        }
    }

    /// Removes the timer that brought this event; it was due.
    pub fn consume_timer(&mut self, timer: crate::id::TimerId) -> bool {
        let was_there = self.community.timers.contains_key(&timer);
        self.remove_timer(timer);
        was_there
    }

    /// The time at which a cooldown that begins now ends.
    pub(super) fn cooldown_end(&self, cooldown_ms: i64) -> TimeMs {
        self.now + cooldown_ms
    }
}
