//! How much harm a mistake can do: who may be punished by whose wish, and how many members scripts
//! may remove from a group before a human has to.
//!
//! A rule that matches everybody must not empty a group, and nobody gets through the bot what she
//! could not do herself. What an admin orders by a command is a human's decision and not counted.

use super::Turn;
use crate::clock::TimeMs;
use crate::community::{Member, Scope, StateKey};
use crate::effect::Effect;
use crate::id::{GroupId, ScriptName};
use crate::report::Notice;
use crate::store::StateRow;
use crate::value::Value;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
/// One in so many members of a group.
const PART: usize = 100;
/// The owner of what is remembered; no script can have this name.
const OWNER: &str = "@removals";
const TIMES: &str = "times";
const TOLD: &str = "told";

impl Turn {
    /// Whether who asked could do this herself. A rule, a timer and the like act on their own.
    pub(super) fn check_caller(&self, effect: &Effect) -> Result<(), &'static str> {
        if effect.punishes().is_none() && !matches!(effect, Effect::Unmute { .. }) {
            return Ok(());
        }
        if !self.is_command() || self.actor_is_staff() {
            return Ok(());
        }
        Err("who asked may not do that herself")
    }

    fn actor_is_staff(&self) -> bool {
        let actor = self.event.person.and_then(|person| self.community.members.get(&person));
        actor.is_some_and(|member| member.role.is_staff())
    }

    /// Counts a removal, or says that a human has to do it.
    pub(super) fn count_removal(&mut self, effect: &Effect) -> Result<(), &'static str> {
        let is_removal = matches!(effect, Effect::Kick { .. } | Effect::Ban { .. });
        if !is_removal || self.is_command() && self.actor_is_staff() {
            return Ok(());
        }
        let Some(group) = self.event.group else { return Ok(()) };
        let mut times = self.removals(group);
        times.retain(|at| self.now - at < HOUR_MS);
        let limits = self.world.limits();
        let in_a_minute = times.iter().filter(|at| self.now - **at < MINUTE_MS).count();
        let in_an_hour = (limits.removals_hour as usize).max(self.settled_members() / PART);
        let name = if in_a_minute >= limits.removals as usize {
            "removals"
        } else if times.len() >= in_an_hour {
            "removals_hour"
        } else {
            times.push(self.now);
            let times = times.into_iter().map(Value::Int).collect();
            self.remember_removals(group, TIMES, Value::List(times));
            return Ok(());
        };
        self.tell_removals(group, name);
        Err("scripts have removed as many as they may for now; an admin can")
    }

    /// Members who have been here for an hour: a raid must not raise the limit that it runs into.
    fn settled_members(&self) -> usize {
        let is_settled =
            |member: &&Member| member.counts() && self.now - member.joined_at > HOUR_MS;
        self.community.members.values().filter(is_settled).count()
    }

    fn removals(&self, group: GroupId) -> Vec<TimeMs> {
        let Some(Value::List(times)) = self.community.state.get(&key(group, TIMES)) else {
            return Vec::new();
        };
        let time = |value: &Value| match value {
            Value::Int(at) => Some(*at),
            _ => None,
        };
        times.iter().filter_map(time).collect()
    }

    /// Told once an hour, however many more there are.
    fn tell_removals(&mut self, group: GroupId, name: &str) {
        let told = self.community.state.get(&key(group, TOLD));
        if matches!(told, Some(Value::Int(at)) if self.now - at < HOUR_MS) {
            return;
        }
        self.remember_removals(group, TOLD, Value::Int(self.now));
        let script = self.script().to_owned();
        let text = format!(
            "limit `{name}` is reached: `{script}` wants to remove more members of group {group} \
             than scripts may; look whether it is right, and remove them by a command of an admin"
        );
        let community = Some(self.community.id);
        self.notices.push(Notice { community, text, is_problem: true });
    }

    fn remember_removals(&mut self, group: GroupId, name: &str, value: Value) {
        let (script, scope, name) = key(group, name);
        self.made.state.push(StateRow {
            community: self.community.id,
            script: script.to_string(),
            scope: scope.to_string(),
            key: name.clone(),
            value: serde_json::to_string(&value).ok(),
        });
        self.community.state.insert((script, scope, name), value);
    }
}

fn key(group: GroupId, name: &str) -> StateKey {
    (ScriptName::new(OWNER), Scope::Group(group), name.to_owned())
}
