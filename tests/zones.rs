//! The zones of the product against those of `chrono-tz`, which has other data and another reader:
//! the same clocks in every zone from 1995 to 2037, and the same gaps and doubled hours.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset as _, TimeZone, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use qundao::zone::Zone;

/// Zones whose clocks were decided about, or found to have gone otherwise, since the data of
/// `chrono-tz` 0.10.4 (2025b); a newer one may need fewer.
const CHANGED: &[&str] = &[
    "Africa/Casablanca",
    "Africa/El_Aaiun",
    "America/Edmonton",
    "America/Havana",
    "America/Inuvik",
    "America/Rainy_River",
    "America/Vancouver",
    "America/Winnipeg",
    "America/Yellowknife",
    "Canada/Central",
    "Canada/Mountain",
    "Canada/Pacific",
    "Cuba",
    "Europe/Chisinau",
    "Europe/Tiraspol",
];

/// A step that meets every hour of the day and of the week.
const STEP_S: i64 = 31 * 3600;

fn second(year: i32) -> i64 {
    Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).unwrap().timestamp()
}

fn mapped<Z: TimeZone>(zone: &Z, local: &NaiveDateTime) -> Vec<i32> {
    let offset = |offset: &Z::Offset| offset.fix().local_minus_utc();
    match zone.offset_from_local_datetime(local) {
        MappedLocalTime::None => Vec::new(),
        MappedLocalTime::Single(one) => vec![offset(&one)],
        MappedLocalTime::Ambiguous(one, two) => vec![offset(&one), offset(&two)],
    }
}

/// When they first differ, if they do.
fn first_difference(theirs: Tz, ours: Zone) -> Option<String> {
    let offset = |second| {
        let at = DateTime::<Utc>::from_timestamp(second, 0).unwrap().naive_utc();
        let theirs = theirs.offset_from_utc_datetime(&at).fix().local_minus_utc();
        (theirs, ours.offset_from_utc_datetime(&at).fix().local_minus_utc())
    };
    let mut before = offset(second(1995)).0;
    for at in (second(1995)..second(2037)).step_by(STEP_S as usize) {
        let (is, should_be) = (offset(at).1, offset(at).0);
        if is != should_be {
            return Some(format!("{at}: {is}, not {should_be}"));
        }
        if is == before {
            continue;
        }
        before = is;
        // The clock was changed since the last step: every quarter of an hour around it.
        for local in (at - 3 * STEP_S..at + STEP_S).step_by(900) {
            let local = DateTime::<Utc>::from_timestamp(local, 0).unwrap().naive_utc();
            let (is, should_be) = (mapped(&ours, &local), mapped(&theirs, &local));
            if is != should_be {
                return Some(format!("{local}: {is:?}, not {should_be:?}"));
            }
        }
    }
    None
}

#[test]
fn every_zone_has_the_clock_that_another_database_says() {
    let half = TZ_VARIANTS.len() / 2;
    let check = |zones: &'static [Tz]| {
        let same = zones.iter().filter(|zone| !CHANGED.contains(&zone.name()));
        let known = same.filter_map(|zone| Some((*zone, zone.name().parse().ok()?)));
        let different = known.filter_map(|(theirs, ours)| {
            first_difference(theirs, ours).map(|what| format!("{ours} {what}"))
        });
        different.collect::<Vec<_>>()
    };
    let different = std::thread::scope(|scope| {
        let other = scope.spawn(|| check(&TZ_VARIANTS[half..]));
        let mut all = check(&TZ_VARIANTS[..half]);
        all.extend(other.join().unwrap());
        all
    });
    assert!(different.is_empty(), "{different:#?}");
}

#[test]
fn both_know_the_same_names() {
    let theirs: Vec<&str> = TZ_VARIANTS.iter().map(|zone| zone.name()).collect();
    let unknown: Vec<_> = theirs.iter().filter(|name| name.parse::<Zone>().is_err()).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let new: Vec<_> = Zone::names().filter(|name| !theirs.contains(name)).collect();
    assert!(new.is_empty(), "{new:?}");
    assert!("asia/shanghai".parse::<Zone>().is_err(), "as it is written");
}
