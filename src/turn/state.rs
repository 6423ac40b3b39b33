//! Host calls of `state::`: what a script remembers, for a community, a group or a member.

use std::cmp::Reverse;

use super::calls::Args;
use super::{Stop, Turn, Undo};
use crate::community::{Scope, StateKey};
use crate::id::{ScriptName, TimerId};
use crate::refusal::Refusal;
use crate::store::{StateRow, TimerRow};
use crate::value::Value;

type Answer = Result<Value, Stop>;

impl Turn {
    pub(super) fn state_get(&mut self, args: &Args<'_>) -> Answer {
        let key = self.state_key(args)?;
        let found = self.community.state.get(&key).cloned();
        Ok(found.unwrap_or_else(|| args.get(2).cloned().unwrap_or_default()))
    }

    pub(super) fn state_set(&mut self, args: &Args<'_>) -> Answer {
        let key = self.state_key(args)?;
        self.remember(key, args.get(2).cloned())?;
        Ok(Value::Unit)
    }

    pub(super) fn state_incr(&mut self, args: &Args<'_>) -> Answer {
        let key = self.state_key(args)?;
        let by = args.int_or(2, 1)?;
        let before = match self.community.state.get(&key) {
            None => 0,
            Some(Value::Int(number)) => *number,
            Some(other) => {
                let (name, kind) = (&key.2, other.type_name());
                return Err(Stop::Wrong(format!(
                    "`state::incr`: `{name}` is {kind}, not a number"
                )));
            }
        };
        let after = before
            .checked_add(by)
            .ok_or_else(|| Stop::Wrong("`state::incr`: the number grows too large".to_owned()))?;
        self.remember(key, Some(after.into()))?;
        Ok(after.into())
    }

    pub(super) fn state_remove(&mut self, args: &Args<'_>) -> Answer {
        let key = self.state_key(args)?;
        self.remember(key, None)?;
        Ok(Value::Unit)
    }

    /// The members with the largest numbers under a key.
    pub(super) fn state_top(&mut self, args: &Args<'_>) -> Answer {
        let (key, count) = (args.text(0)?, args.int_or(1, 10)?.clamp(1, 100) as usize);
        let script = self.script();
        let mut rows: Vec<_> = self
            .community
            .state
            .iter()
            .filter_map(|((owner, scope, name), value)| match (scope, value) {
                (Scope::Member(person), Value::Int(number))
                    if owner.as_str() == script && name == key =>
                {
                    Some((*person, *number))
                }
                _ => None,
            })
            .filter(|(person, _)| {
                self.community.members.get(person).is_some_and(|m| m.is_here() && !m.is_bot)
            })
            .collect();
        rows.sort_by_key(|(person, number)| (Reverse(*number), *person));
        let rows = rows.into_iter().take(count).map(|(person, number)| {
            let member = self.community.view(person, self.now);
            Value::map([
                ("member", member.map_or(Value::Unit, Value::Member)),
                ("value", number.into()),
            ])
        });
        Ok(Value::List(rows.collect()))
    }

    fn state_key(&self, args: &Args<'_>) -> Result<StateKey, Stop> {
        let key = args.text(1)?;
        if key.is_empty() || key.len() > 64 {
            return Err(Stop::Wrong("a key of `state::` has 1 to 64 bytes".to_owned()));
        }
        Ok((ScriptName::new(self.script()), args.scope(0)?, key.to_owned()))
    }

    fn remember(&mut self, key: StateKey, value: Option<Value>) -> Result<(), Stop> {
        let text = value.as_ref().map(|value| serde_json::to_string(value).unwrap_or_default());
        let before = match value {
            Some(value) => self.community.state.insert(key.clone(), value),
            None => self.community.state.remove(&key),
        };
        self.undo.push(Undo::State(key.clone(), before));
        if let Some(text) = &text {
            self.check_state_size(&key.0, text.len())?;
        }
        self.made.state.push(StateRow {
            community: self.community.id,
            script: key.0.to_string(),
            scope: key.1.to_string(),
            key: key.2,
            value: text,
        });
        Ok(())
    }

    /// Counts only when something large is written, so that a counter costs nothing.
    fn check_state_size(&self, script: &ScriptName, bytes: usize) -> Result<(), Stop> {
        let limit = self.world.limits().state_bytes;
        // No entry with a short value can be larger than this, so few entries need no count.
        const SMALL: usize = 256;
        if bytes <= SMALL && self.community.state.len() < limit / (2 * SMALL) {
            return Ok(());
        }
        let total: usize = self
            .community
            .state
            .iter()
            .filter(|((owner, ..), _)| owner == script)
            .map(|((.., key), value)| {
                key.len() + serde_json::to_string(value).map_or(0, |text| text.len())
            })
            .sum();
        if total > limit {
            return Err(Refusal::new("limit").with("limit", "state_bytes").into());
        }
        Ok(())
    }

    /// Adds a timer.
    pub(super) fn add_timer(&mut self, timer: TimerRow) {
        self.undo.push(Undo::TimerAdded(timer.id));
        self.community.timers.insert(timer.id, timer.clone());
        self.made.timers.push(timer);
    }

    /// Removes a timer.
    pub(super) fn remove_timer(&mut self, id: TimerId) {
        if let Some(timer) = self.community.timers.remove(&id) {
            self.undo.push(Undo::TimerRemoved(timer));
            self.made.timers_gone.push(id);
        }
    }
}
