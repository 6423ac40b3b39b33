//! Time, as the turn sees it: one present for the whole event, in the community's zone.

use chrono::{DateTime, FixedOffset};
use rhai::Dynamic;

use super::super::fault::{Fault, Outcome};
use super::{Call, Place, Row, Run, Ty, opt};

pub(super) static ROWS: &[Row] = &[
    pure(
        "now",
        &[],
        |call| Ok(present(call)?.into()),
        "The present, Unix milliseconds; the same for the whole handler.",
    )
    .returns(Ty::Int),
    pure(
        "date",
        &[opt("ms", Ty::Int)],
        |call| local(call, "%Y-%m-%d"),
        "The local date, `2026-11-23`; of today, or of a time.",
    )
    .returns(Ty::Text),
    pure(
        "clock",
        &[opt("ms", Ty::Int)],
        |call| local(call, "%H:%M"),
        "The local time, `21:30`; of now, or of a time.",
    )
    .returns(Ty::Text),
];

const fn pure(
    name: &'static str,
    params: &'static [super::Par],
    answer: fn(&Call) -> Outcome<Dynamic>,
    doc: &'static str,
) -> Row {
    Row::new(Place::Global, name, params, Run::Pure(answer), doc)
}

fn present(call: &Call) -> Outcome<i64> {
    call.session.running(|running| Ok(running.frame.now))
}

fn local(call: &Call, format: &str) -> Outcome<Dynamic> {
    let ms = if call.arg(0).is_some() { call.int(0) } else { present(call)? };
    let offset_s = call.session.running(|running| Ok(running.frame.utc_offset_s))?;
    let zone = FixedOffset::east_opt(offset_s);
    let (Some(zone), Some(time)) = (zone, DateTime::from_timestamp_millis(ms)) else {
        return Fault::wrong(format!("{ms} is not a time that a calendar knows"));
    };
    Ok(time.with_timezone(&zone).format(format).to_string().into())
}
