//! Lines of the audit log that a turn writes: who decided what about whom, and why.
//!
//! Actor and action stay for ever, so they never hold a name; names, accounts and reasons stand in
//! the payload, which can be erased.

use super::Turn;
use crate::id::{PersonId, ScriptName};
use crate::ledger::AccountKey;
use crate::script::protocol::Trigger;
use crate::store::AuditRow;
use crate::value::Role;

impl Turn {
    /// What a script decided.
    pub(super) fn audit(
        &mut self,
        script: &ScriptName,
        action: &str,
        about: Option<PersonId>,
        object: String,
        detail: String,
    ) {
        let revision = self.plan.manifest(script).map_or("", |m| m.revision.as_str());
        self.audit_line(format!("{script}@{revision}"), action, about, object, detail);
    }

    /// What a person decided.
    pub(super) fn audit_by(
        &mut self,
        person: PersonId,
        action: &str,
        object: String,
        detail: String,
    ) {
        self.audit_line(format!("person:{person}"), action, None, object, detail);
    }

    /// Points that a command moved for somebody; what the domain does by its own rules (check-ins,
    /// packets) stands in its own tables.
    pub(super) fn audit_points(
        &mut self,
        (debit, credit): (&AccountKey, &AccountKey),
        amount: i64,
        reason: &str,
    ) {
        let Some(actor) = self.event.person else { return };
        let side = |key: &AccountKey| match key {
            AccountKey::Member(person) => (Some(*person), format!("member {person}")),
            AccountKey::Escrow(packet) => (None, format!("packet {packet}")),
            AccountKey::Campaign(number) => (None, format!("budget {number}")),
            AccountKey::Mint => (None, "mint".to_owned()),
            AccountKey::Burn => (None, "burn".to_owned()),
        };
        let ((from, from_shown), (to, to_shown)) = (side(debit), side(credit));
        let about = to.or(from);
        let object = format!("{amount}: {from_shown} to {to_shown}");
        self.audit_line(format!("person:{actor}"), "points", about, object, reason.to_owned());
    }

    /// Whether the call that is being answered comes from somebody's command.
    pub(super) fn is_command(&self) -> bool {
        let run = self.current.and_then(|run| self.runs.get(run));
        let handler = run.and_then(|run| {
            let manifest = self.plan.manifest(&run.script)?;
            manifest.handlers.get(usize::from(run.handler))
        });
        handler.is_some_and(|handler| matches!(handler.trigger, Trigger::Command(_)))
    }

    /// A role that the platform or the configuration gave.
    pub fn audit_role(&mut self, person: PersonId, before: Role, after: Role) {
        let member = self.community.members.get(&person);
        let object = member.map_or_else(String::new, |member| member.reference.to_string());
        let detail = format!("{} to {}", before.as_str(), after.as_str());
        self.audit_line("core".to_owned(), "role", Some(person), object, detail);
    }

    fn audit_line(
        &mut self,
        actor: String,
        action: &str,
        about: Option<PersonId>,
        object: String,
        detail: String,
    ) {
        let salt = self.world.audit_salt(self.event.id, self.made.audit.len());
        self.made.audit.push(AuditRow {
            event: Some(self.event.id),
            community: Some(self.community.id),
            at: self.now,
            actor,
            by: self.event.person,
            about,
            action: action.to_owned(),
            object,
            detail,
            salt,
        });
    }
}
