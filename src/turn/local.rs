//! The local time of a moment, remembered: every message asks for the day, and a time zone is a
//! table to search.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Offset, Utc};

use crate::clock::TimeMs;
use crate::zone::Zone;

/// Zones change their offsets, and days begin, at full quarters of an hour.
const QUARTER_MS: i64 = 15 * 60 * 1000;

/// What a clock in a zone shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// The day, `YYYY-MM-DD`.
    pub day: Arc<str>,
    /// Seconds ahead of UTC.
    pub utc_offset_s: i32,
}

impl LocalTime {
    /// Looks it up in the table of the zone.
    pub fn at(zone: Zone, at: TimeMs) -> Self {
        let utc = DateTime::<Utc>::from_timestamp_millis(at).unwrap_or_default();
        let local = utc.with_timezone(&zone);
        Self {
            day: local.format("%Y-%m-%d").to_string().into(),
            utc_offset_s: local.offset().fix().local_minus_utc(),
        }
    }
}

/// The latest quarter of an hour in each zone that was asked for.
#[derive(Debug, Default)]
pub struct LocalTimes {
    latest: HashMap<Zone, (i64, LocalTime)>,
}

impl LocalTimes {
    /// The local time of a moment.
    pub fn at(&mut self, zone: Zone, at: TimeMs) -> LocalTime {
        let quarter = at.div_euclid(QUARTER_MS);
        match self.latest.get(&zone) {
            Some((known, local)) if *known == quarter => local.clone(),
            _ => {
                let local = LocalTime::at(zone, at);
                self.latest.insert(zone, (quarter, local.clone()));
                local
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_what_the_table_says() {
        let names = ["Asia/Shanghai", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"];
        let zones: [Zone; 4] = names.map(|name| name.parse().unwrap());
        let mut times = LocalTimes::default();
        // A year and a half around both changes of summer time, in steps that are no quarters.
        let start = 1_767_225_600_000;
        for step in 0..20_000 {
            let at = start + step * 2_345_678;
            for zone in zones {
                assert_eq!(times.at(zone, at), LocalTime::at(zone, at), "{zone} {at}");
            }
        }
    }
}
