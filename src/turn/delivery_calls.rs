//! Host calls of `delivery::`: messages of which nobody knows whether they arrived, and what an
//! admin decides about them.

use super::calls::Args;
use super::{Fetched, Need, Stop, Turn};
use crate::effect::{Call, Delivery};
use crate::event::plain_text;
use crate::id::DeliveryId;
use crate::refusal::Refusal;
use crate::routine::zone;
use crate::store::DecisionRow;
use crate::value::Value;

/// Messages that are shown, and decided about, at once.
pub(crate) const DOUBTFUL_MAX: i64 = 50;
/// Characters of a text that are shown.
const TEXT_MAX: usize = 20;

impl Turn {
    /// Messages in doubt, the latest first.
    pub(super) fn delivery_doubtful(&self) -> Result<Value, Stop> {
        let row = |delivery: &Delivery| {
            let text = match &delivery.call {
                Call::Send { content, .. } | Call::Card { content, .. } => plain_text(content),
                _ => delivery.call.word().to_owned(),
            };
            let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let mut short: String = line.chars().take(TEXT_MAX).collect();
            if short.len() < line.len() {
                short.push('…');
            }
            let time = zone::worded(&self.plan.locale, self.plan.timezone, delivery.not_before);
            Value::map([
                ("id", delivery.id.0.into()),
                ("at", delivery.not_before.into()),
                ("time", time.into()),
                ("text", short.into()),
            ])
        };
        Ok(Value::List(self.doubtful()?.iter().map(row).collect()))
    }

    /// Sends them again: member, and a number or none for all.
    pub(super) fn delivery_retry(&mut self, args: &Args<'_>) -> Result<Value, Stop> {
        let until = self.now + self.world.limits().reply_expires_s * 1000;
        self.decide_deliveries(args, "delivery.retry", |id, by| DecisionRow::again(id, by, until))
    }

    /// Leaves them: member, and a number or none for all.
    pub(super) fn delivery_drop(&mut self, args: &Args<'_>) -> Result<Value, Stop> {
        self.decide_deliveries(args, "delivery.drop", DecisionRow::leave)
    }

    fn decide_deliveries(
        &mut self,
        args: &Args<'_>,
        action: &str,
        decision: impl Fn(DeliveryId, &str) -> DecisionRow,
    ) -> Result<Value, Stop> {
        let person = args.member(0)?;
        self.check_admin(person)?;
        let wanted = which(args.get(1))?;
        let found = self.doubtful()?.iter().map(|delivery| delivery.id);
        let ids: Vec<DeliveryId> =
            found.filter(|id| wanted.is_none_or(|wanted| wanted == *id)).collect();
        if let (Some(DeliveryId(id)), true) = (wanted, ids.is_empty()) {
            return Err(none_of(&id.to_string()));
        }
        let by = format!("person:{person}");
        for id in &ids {
            self.made.decisions.push(decision(*id, &by));
            self.audit_by(person, action, id.0.to_string(), String::new());
        }
        Ok(Value::Int(i64::try_from(ids.len()).unwrap_or(i64::MAX)))
    }

    fn doubtful(&self) -> Result<&[Delivery], Stop> {
        match self.fetched.get(&Need::DoubtfulDeliveries) {
            Some(Fetched::Deliveries(found)) => Ok(found),
            _ => Err(Stop::Need(Need::DoubtfulDeliveries)),
        }
    }
}

/// A number as it is typed, or a word for all.
fn which(typed: Option<&Value>) -> Result<Option<DeliveryId>, Stop> {
    match typed {
        None => Ok(None),
        Some(Value::Int(id)) => Ok(Some(DeliveryId(*id))),
        Some(Value::Text(word)) if ["全部", "all"].contains(&word.as_str()) => Ok(None),
        Some(Value::Text(word)) => {
            let id = word.trim_start_matches('#').parse();
            id.map(|id| Some(DeliveryId(id))).map_err(|_| none_of(word))
        }
        Some(other) => Err(none_of(other.type_name())),
    }
}

fn none_of(id: &str) -> Stop {
    Refusal::new("no_delivery").with("id", id).into()
}
