//! Host calls of `privacy::`: what is kept of who asks, and taking it back. Nobody can ask for
//! another: the person is always the one whose event the platform brought.

use super::{Fetched, Need, Stop, Turn};
use crate::bot::KEYS_DAYS;
use crate::id::PersonId;
use crate::refusal::Refusal;
use crate::store::ForgetRow;
use crate::value::{Role, Value};

type Answer = Result<Value, Stop>;

impl Turn {
    pub(super) fn privacy_days(&self) -> Value {
        let privacy = self.world.privacy();
        Value::map([
            ("messages", i64::from(privacy.archive_days).into()),
            ("bodies", i64::from(privacy.body_days).into()),
            ("log", i64::from(privacy.log_days).into()),
            ("audit", i64::from(privacy.audit_days).into()),
            ("keys", KEYS_DAYS.into()),
        ])
    }

    pub(super) fn privacy_export(&mut self) -> Answer {
        let person = self.oneself()?;
        let need = Need::Export(person);
        let Some(Fetched::Export(counts)) = self.fetched.get(&need) else {
            return Err(Stop::Need(need));
        };
        let mut all: crate::value::ValueMap =
            counts.iter().map(|(table, rows)| (table.clone(), (*rows).into())).collect();
        let total: i64 = counts.iter().filter(|(table, _)| table != "words").map(|(_, n)| n).sum();
        all.insert("total".to_owned(), total.into());
        all.insert("person".to_owned(), person.0.into());
        self.audit_by(person, "export", format!("person {person}"), String::new());
        Ok(Value::Map(all))
    }

    pub(super) fn privacy_forget(&mut self) -> Answer {
        let person = self.oneself()?;
        if self.member(person)?.role == Role::Owner {
            return Err(Refusal::new("owner_stays").into());
        }
        self.wish(person, false);
        Ok(Value::Unit)
    }

    pub(super) fn privacy_forget_words(&mut self) -> Answer {
        let person = self.oneself()?;
        self.wish(person, true);
        Ok(Value::Unit)
    }

    pub(super) fn privacy_audit_head(&self) -> Answer {
        let person = self.oneself()?;
        if self.member(person)?.role < Role::Admin {
            return Err(Refusal::new("role").with("role", "admin").into());
        }
        let Some(Fetched::AuditHead(head)) = self.fetched.get(&Need::AuditHead) else {
            return Err(Stop::Need(Need::AuditHead));
        };
        Ok(Value::map([("n", head.n.into()), ("head", head.to_string().into())]))
    }

    /// Who the platform says did this.
    fn oneself(&self) -> Result<PersonId, Stop> {
        self.event.person.ok_or_else(|| Refusal::new("not_member").into())
    }

    fn wish(&mut self, person: PersonId, is_words: bool) {
        let community = is_words.then_some(self.community.id);
        self.made.forgets.push(ForgetRow { person, community, event: self.event.id, at: self.now });
    }
}
