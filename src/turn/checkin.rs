//! Host calls of `checkin::`: once a local day, with a streak.

use chrono::NaiveDate;

use super::calls::Args;
use super::{Stop, Turn, Undo};
use crate::community::Checkin;
use crate::refusal::Refusal;
use crate::store::CheckinRow;
use crate::value::Value;

impl Turn {
    pub(super) fn checkin_mark(&mut self, args: &Args<'_>) -> Result<Value, Stop> {
        let person = args.member(0)?;
        self.member(person)?;
        let day = self.local.day.to_string();
        let before = self.community.checkins.get(&person).cloned();
        if let Some(last) = before.as_ref().filter(|last| last.day >= day) {
            return Err(Refusal::new("already_checked_in").with("streak", last.streak).into());
        }
        let streak = match &before {
            Some(last) if is_day_after(&last.day, &day) => last.streak + 1,
            _ => 1,
        };
        let today = self.community.checkins_today.clone();
        let ordinal = if today.0 == day { today.1 + 1 } else { 1 };
        let checkin = Checkin { day: day.clone(), streak, ordinal };
        self.community.checkins.insert(person, checkin);
        self.community.checkins_today = (day.clone(), ordinal);
        self.undo.push(Undo::Checkin(person, before, today));
        let community = self.community.id;
        self.made.checkins.push(CheckinRow {
            community,
            person,
            day: day.clone(),
            streak,
            ordinal,
        });
        Ok(Value::map([
            ("day", day.into()),
            ("streak", streak.into()),
            ("ordinal", ordinal.into()),
        ]))
    }

    pub(super) fn checkin_status(&mut self, args: &Args<'_>) -> Result<Value, Stop> {
        let person = args.member(0)?;
        let today = self.local.day.to_string();
        let Some(last) = self.community.checkins.get(&person) else { return Ok(Value::Unit) };
        let alive = last.day == today || is_day_after(&last.day, &today);
        Ok(Value::map([
            ("day", last.day.as_str().into()),
            ("streak", if alive { last.streak } else { 0 }.into()),
            ("today", (last.day == today).into()),
        ]))
    }
}

fn is_day_after(day: &str, next: &str) -> bool {
    let parse = |text: &str| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    parse(day).and_then(|day| day.succ_opt()).is_some_and(|day| Some(day) == parse(next))
}

#[cfg(test)]
mod tests {
    use super::is_day_after;

    #[test]
    fn the_day_after_crosses_months_and_leap_days() {
        assert!(is_day_after("2026-11-30", "2026-12-01"));
        assert!(is_day_after("2028-02-28", "2028-02-29"));
        assert!(!is_day_after("2026-02-28", "2026-02-28"));
        assert!(!is_day_after("2026-11-22", "2026-11-24"));
        assert!(!is_day_after("", "2026-11-24"));
    }
}
