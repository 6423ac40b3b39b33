//! Host calls of `rules::`: the group's own rules, in versions, and who accepted which.

use super::calls::Args;
use super::{Stop, Turn, Undo};
use crate::community::Rules;
use crate::refusal::Refusal;
use crate::store::{RuleAckRow, RuleVersionRow};
use crate::value::Value;

/// Longest text of a group's rules, characters.
const TEXT_MAX: usize = 2000;

impl Turn {
    pub(super) fn rules_current(&self) -> Value {
        self.community.rules.as_ref().map_or(Value::Unit, |rules| {
            Value::map([
                ("version", rules.version.into()),
                ("text", (&*rules.text).into()),
                ("at", rules.at.into()),
            ])
        })
    }

    pub(super) fn rules_set(&mut self, args: &Args<'_>) -> Result<Value, Stop> {
        let person = args.member(0)?;
        if !self.member(person)?.role.is_staff() {
            return Err(Refusal::new("role").with("role", "admin").into());
        }
        let text = args.text(1)?.trim();
        if text.is_empty() || text.chars().count() > TEXT_MAX {
            return Err(Refusal::new("text_range").with("max", TEXT_MAX as i64).into());
        }
        let before = self.community.rules.take();
        let version = before.as_ref().map_or(1, |rules| rules.version + 1);
        let community = self.community.id;
        self.community.rules = Some(Rules { version, text: text.into(), at: self.now });
        self.undo.push(Undo::Rules(before));
        self.made.rule_versions.push(RuleVersionRow {
            community,
            version,
            text: text.to_owned(),
            author: Some(person),
            at: self.now,
        });
        self.audit_by(person, "rules.set", format!("version {version}"), String::new());
        Ok(version.into())
    }

    pub(super) fn rules_accept(&mut self, args: &Args<'_>) -> Result<Value, Stop> {
        let person = args.member(0)?;
        self.member(person)?;
        let Some(rules) = &self.community.rules else {
            return Err(Refusal::new("no_rules").into());
        };
        let version = rules.version;
        let before = self.community.acks.get(&person).copied();
        let is_new = before.is_none_or(|accepted| accepted < version);
        if is_new {
            self.community.acks.insert(person, version);
            self.undo.push(Undo::Ack(person, before));
            let community = self.community.id;
            self.made.rule_acks.push(RuleAckRow { community, person, version, at: self.now });
        }
        Ok(Value::map([("version", version.into()), ("is_new", is_new.into())]))
    }

    pub(super) fn rules_accepted(&mut self, args: &Args<'_>) -> Result<Value, Stop> {
        let person = args.member(0)?;
        let current = self.community.rules.as_ref().map(|rules| rules.version);
        let accepted = self.community.acks.get(&person).copied();
        Ok((current.is_some() && accepted == current).into())
    }
}
