//! What happens on the days on which clocks change, row by row.

use chrono::{DateTime, Utc};
use qundao::routine::Cron;
use qundao::zone::Zone;

/// Zone, expression, day and the moments on that day, each as the clock on the wall shows it with its
/// distance from UTC; an empty list where nothing happens.
const ROWS: &[(&str, &str, &str, &[&str])] = &[
    // Forward: a named hour that does not exist comes at the first moment after.
    ("America/New_York", "30 2 * * *", "2026-03-08", &["03:00 -0400"]),
    ("America/New_York", "0 2 * * *", "2026-03-08", &["03:00 -0400"]),
    ("America/New_York", "59 2 * * *", "2026-03-08", &["03:00 -0400"]),
    ("America/New_York", "0 3 * * *", "2026-03-08", &["03:00 -0400"]),
    ("America/New_York", "59 1 * * *", "2026-03-08", &["01:59 -0500"]),
    ("America/New_York", "15 2 8 3 *", "2026-03-08", &["03:00 -0400"]),
    ("America/New_York", "15 2 * * SUN", "2026-03-08", &["03:00 -0400"]),
    ("America/New_York", "30 2 * * *", "2026-03-09", &["02:30 -0400"]),
    // Several in one gap are one; with what is due there anyhow they are one, too.
    ("America/New_York", "0,30 2 * * *", "2026-03-08", &["03:00 -0400"]),
    ("America/New_York", "*/20 2 * * *", "2026-03-08", &["03:00 -0400"]),
    ("America/New_York", "30 2,3 * * *", "2026-03-08", &["03:00 -0400", "03:30 -0400"]),
    ("America/New_York", "0 2,3 * * *", "2026-03-08", &["03:00 -0400"]),
    (
        "America/New_York",
        "30 1-3 * * *",
        "2026-03-08",
        &["01:30 -0500", "03:00 -0400", "03:30 -0400"],
    ),
    // An interval leaves out what does not exist.
    (
        "America/New_York",
        "30 */2 8 3 *",
        "2026-03-08",
        &[
            "00:30 -0500",
            "04:30 -0400",
            "06:30 -0400",
            "08:30 -0400",
            "10:30 -0400",
            "12:30 -0400",
            "14:30 -0400",
            "16:30 -0400",
            "18:30 -0400",
            "20:30 -0400",
            "22:30 -0400",
        ],
    ),
    (
        "America/New_York",
        "30 0-3/1 * * *",
        "2026-03-08",
        &["00:30 -0500", "01:30 -0500", "03:30 -0400"],
    ),
    ("America/New_York", "30 2-2/1 * * *", "2026-03-08", &[]),
    // Back: a named hour counts the first time.
    ("America/New_York", "30 1 * * *", "2026-11-01", &["01:30 -0400"]),
    ("America/New_York", "0 1 * * *", "2026-11-01", &["01:00 -0400"]),
    ("America/New_York", "0 2 * * *", "2026-11-01", &["02:00 -0500"]),
    ("America/New_York", "0,30 1 * * *", "2026-11-01", &["01:00 -0400", "01:30 -0400"]),
    (
        "America/New_York",
        "30 0-2 * * *",
        "2026-11-01",
        &["00:30 -0400", "01:30 -0400", "02:30 -0500"],
    ),
    ("America/New_York", "30 1,2 * * *", "2026-11-01", &["01:30 -0400", "02:30 -0500"]),
    ("America/New_York", "*/30 1 * * *", "2026-11-01", &["01:00 -0400", "01:30 -0400"]),
    // An interval goes over it twice.
    (
        "America/New_York",
        "30 0-2/1 * * *",
        "2026-11-01",
        &["00:30 -0400", "01:30 -0400", "01:30 -0500", "02:30 -0500"],
    ),
    (
        "America/New_York",
        "*/30 1-1/1 * * *",
        "2026-11-01",
        &["01:00 -0400", "01:30 -0400", "01:00 -0500", "01:30 -0500"],
    ),
    // London, Berlin.
    ("Europe/London", "30 1 * * *", "2026-03-29", &["02:00 +0100"]),
    ("Europe/London", "30 1 * * *", "2026-10-25", &["01:30 +0100"]),
    ("Europe/London", "0 1-1/1 * * *", "2026-10-25", &["01:00 +0100", "01:00 +0000"]),
    ("Europe/London", "0 8 * * *", "2026-03-29", &["08:00 +0100"]),
    ("Europe/Berlin", "30 2 * * *", "2026-03-29", &["03:00 +0200"]),
    ("Europe/Berlin", "30 2 * * *", "2026-10-25", &["02:30 +0200"]),
    ("Europe/Berlin", "0 3 * * *", "2026-10-25", &["03:00 +0100"]),
    (
        "Europe/Berlin",
        "15 2-3/1 * * *",
        "2026-10-25",
        &["02:15 +0200", "02:15 +0100", "03:15 +0100"],
    ),
    // At midnight.
    ("Africa/Cairo", "0 0 * * *", "2026-04-24", &["01:00 +0300"]),
    ("Africa/Cairo", "30 0 * * *", "2026-04-24", &["01:00 +0300"]),
    ("Africa/Cairo", "@daily", "2026-04-24", &["01:00 +0300"]),
    ("Africa/Cairo", "0 0 * * FRI", "2026-04-24", &["01:00 +0300"]),
    ("Africa/Cairo", "0 0 * * THU", "2026-04-24", &[]),
    ("Africa/Cairo", "0 0-1/1 * * *", "2026-04-24", &["01:00 +0300"]),
    ("Africa/Cairo", "30 23 * * *", "2026-10-29", &["23:30 +0300"]),
    ("Africa/Cairo", "30 23-23/1 * * *", "2026-10-29", &["23:30 +0300", "23:30 +0200"]),
    ("Africa/Cairo", "0 0 * * *", "2026-10-30", &["00:00 +0200"]),
    ("America/Santiago", "0 0 * * *", "2026-09-06", &["01:00 -0300"]),
    ("America/Santiago", "30 23 * * *", "2026-04-04", &["23:30 -0300"]),
    ("America/Santiago", "30 23-23/1 * * *", "2026-04-04", &["23:30 -0300", "23:30 -0400"]),
    ("America/Havana", "30 0 * * *", "2026-03-08", &["01:00 -0400"]),
    // Half an hour.
    ("Australia/Lord_Howe", "15 2 * * *", "2026-10-04", &["02:30 +1100"]),
    ("Australia/Lord_Howe", "0,15,45 2 * * *", "2026-10-04", &["02:30 +1100", "02:45 +1100"]),
    ("Australia/Lord_Howe", "45 1 * * *", "2026-04-05", &["01:45 +1100"]),
    ("Australia/Lord_Howe", "45 1-1/1 * * *", "2026-04-05", &["01:45 +1100", "01:45 +1030"]),
    ("Australia/Lord_Howe", "15 1-1/1 * * *", "2026-04-05", &["01:15 +1100"]),
    // Quarters and half hours from UTC.
    ("America/St_Johns", "30 2 * * *", "2026-03-08", &["03:00 -0230"]),
    ("America/St_Johns", "30 1 * * *", "2026-11-01", &["01:30 -0230"]),
    ("Pacific/Chatham", "45 2 * * *", "2026-09-27", &["03:45 +1345"]),
    ("Pacific/Chatham", "45 2 * * *", "2026-04-05", &["02:45 +1345"]),
    ("Asia/Kathmandu", "0 8 * * *", "2026-06-01", &["08:00 +0545"]),
    // Back for Ramadan, forward after it.
    ("Africa/Casablanca", "30 2 * * *", "2026-02-15", &["02:30 +0100"]),
    ("Africa/Casablanca", "30 2-2/1 * * *", "2026-02-15", &["02:30 +0100", "02:30 +0000"]),
    ("Africa/Casablanca", "30 2 * * *", "2026-03-22", &["03:00 +0100"]),
    // A day that did not exist, and one that came twice as long.
    ("Pacific/Apia", "0 8 * * *", "2011-12-29", &["08:00 -1000"]),
    ("Pacific/Apia", "0 8 * * *", "2011-12-30", &[]),
    ("Pacific/Apia", "0 8 * * *", "2011-12-31", &["08:00 +1400"]),
    ("Pacific/Apia", "0 */12 * * *", "2011-12-30", &[]),
    // Nothing changes.
    ("Asia/Shanghai", "30 2 * * *", "2026-03-08", &["02:30 +0800"]),
    ("Asia/Shanghai", "0 8,20 * * *", "2026-11-01", &["08:00 +0800", "20:00 +0800"]),
    ("UTC", "30 1 * * *", "2026-11-01", &["01:30 +0000"]),
];

#[test]
fn days_on_which_clocks_change() {
    assert!(ROWS.len() >= 60);
    for (zone, text, day, expected) in ROWS {
        let zone: Zone = zone.parse().unwrap();
        let before = format!("{day}T00:00:00Z").parse::<DateTime<Utc>>().unwrap();
        let found: Vec<String> = Cron::parse(text)
            .unwrap()
            .slots(zone, before.timestamp_millis() - 24 * 3_600_000)
            .map(|slot| DateTime::<Utc>::from_timestamp_millis(slot.at).unwrap())
            .map(|at| at.with_timezone(&zone))
            .take_while(|at| at.format("%Y-%m-%d").to_string().as_str() <= *day)
            .filter(|at| at.format("%Y-%m-%d").to_string() == *day)
            .map(|at| at.format("%H:%M %z").to_string())
            .collect();
        assert_eq!(found, *expected, "`{text}` on {day} in {zone}");
    }
}

#[test]
fn a_slot_in_a_gap_keeps_the_time_that_was_meant() {
    let zone: Zone = "America/New_York".parse().unwrap();
    let before = "2026-03-08T06:00:00Z".parse::<DateTime<Utc>>().unwrap().timestamp_millis();
    for (text, local) in [
        ("30 2 * * *", "2026-03-08 02:30:00"),
        ("10,20 2 * * *", "2026-03-08 02:10:00"),
        ("0 2,3 * * *", "2026-03-08 03:00:00"),
    ] {
        let slot = Cron::parse(text).unwrap().next(zone, before).unwrap();
        assert_eq!((slot.local.to_string().as_str(), slot.fold), (local, 0), "{text}");
    }
}
