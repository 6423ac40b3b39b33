//! Chance, from the seed of the turn: the same event draws the same lots when it is run again.

use rand_chacha::rand_core::RngCore;
use rhai::Dynamic;

use super::super::fault::{Fault, Outcome};
use super::{Call, Place, Row, Run, Ty, par};

pub(super) static ROWS: &[Row] = &[
    Row::new(
        Place::Global,
        "random",
        &[par("from", Ty::Int), par("to", Ty::Int)],
        Run::Pure(random),
        "A whole number between two others, both included.",
    )
    .returns(Ty::Int),
    Row::new(
        Place::Global,
        "pick",
        &[par("array", Ty::Array)],
        Run::Pure(pick),
        "One entry of an array; `()` of an empty one.",
    )
    .returns(Ty::Any),
];

fn random(call: &Call) -> Outcome<Dynamic> {
    let (from, to) = (call.int(0), call.int(1));
    if from > to {
        return Fault::wrong(format!(
            "`random({from}, {to})` has nothing to choose from: put the smaller number first"
        ));
    }
    // The width fits in u64 because both ends are i64; 0 stands for all of u64.
    let width = to.wrapping_sub(from).cast_unsigned().wrapping_add(1);
    let drawn = draw(call, width)?;
    Ok(from.wrapping_add(drawn.cast_signed()).into())
}

fn pick(call: &Call) -> Outcome<Dynamic> {
    let Some(array) = call.arg(0).and_then(|value| value.as_array_ref().ok()) else {
        return call.mismatch();
    };
    if array.is_empty() {
        return Ok(Dynamic::UNIT);
    }
    let index = draw(call, array.len() as u64)?;
    let index = usize::try_from(index).unwrap_or(0);
    Ok(array.get(index).cloned().unwrap_or_default())
}

/// A number below `width`, each as likely as any other: draws that would favour some are thrown
/// away.
fn draw(call: &Call, width: u64) -> Outcome<u64> {
    call.session.running(|running| {
        if width == 0 {
            return Ok(running.rng.next_u64());
        }
        let fair = u64::MAX - u64::MAX % width;
        loop {
            let drawn = running.rng.next_u64();
            if drawn < fair {
                return Ok(drawn % width);
            }
        }
    })
}
