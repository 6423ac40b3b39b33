//! Sorting that takes any comparer for what it says.
//!
//! Rust's sort may panic where a comparer contradicts itself, and numbers that are none are equal
//! to everything. Rhai catches one of the two and prints the panic; both are a script's mistake.
//! A merge sort does not mind.

use std::cmp::Ordering;
use std::rc::Rc;

use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, NativeCallContext, Position};

use super::convert::type_name;
use super::fault::{Fault, Outcome};
use super::session::Session;

type Thrown<T> = Result<T, Box<EvalAltResult>>;

/// Registers the functions; registered in the engine itself, they win over those of packages.
pub(super) fn install(engine: &mut Engine, session: &Rc<Session>) {
    for (name, is_down) in [("sort", false), ("sort_desc", true)] {
        let shared = Rc::clone(session);
        engine.register_fn(name, move |array: &mut Array| natural(&shared, array, is_down));
    }
    for (name, is_down) in [("order", false), ("order_desc", true)] {
        let shared = Rc::clone(session);
        engine.register_fn(name, move |array: &mut Array| {
            let mut copy = array.clone();
            natural(&shared, &mut copy, is_down).map(|()| copy)
        });
    }
    for name in ["sort", "sort_by"] {
        engine.register_fn(name, |context: NativeCallContext, array: &mut Array, by: FnPtr| {
            compared(&context, array, &by)
        });
    }
    for name in ["order", "order_by"] {
        engine.register_fn(name, |context: NativeCallContext, array: &mut Array, by: FnPtr| {
            let mut copy = array.clone();
            compared(&context, &mut copy, &by).map(|()| copy)
        });
    }
}

/// Sorts values of one kind in their own order.
fn natural(session: &Session, array: &mut Array, is_down: bool) -> Thrown<()> {
    let sorted = merge_sort(array, &mut |a, b| {
        order(a, b).map(|order| if is_down { order.reverse() } else { order })
    });
    sorted.map_err(|fault: Fault| fault.thrown(session, Position::NONE))
}

/// The order of two values of one kind.
fn order(a: &Dynamic, b: &Dynamic) -> Outcome<Ordering> {
    if let (Ok(a), Ok(b)) = (a.as_int(), b.as_int()) {
        return Ok(a.cmp(&b));
    }
    if let (Ok(a), Ok(b)) = (a.as_float(), b.as_float()) {
        return Ok(a.total_cmp(&b));
    }
    if let (Ok(a), Ok(b)) = (a.as_immutable_string_ref(), b.as_immutable_string_ref()) {
        return Ok(a.as_str().cmp(b.as_str()));
    }
    if let (Ok(a), Ok(b)) = (a.as_char(), b.as_char()) {
        return Ok(a.cmp(&b));
    }
    if let (Ok(a), Ok(b)) = (a.as_bool(), b.as_bool()) {
        return Ok(a.cmp(&b));
    }
    if a.is_unit() && b.is_unit() {
        return Ok(Ordering::Equal);
    }
    Fault::wrong(format!(
        "{} and {} have no order: sort with a comparer, `|a, b| a.x - b.x`",
        type_name(a),
        type_name(b)
    ))
}

/// Sorts by what a function says: a number as in `a - b`, or whether `a` comes first.
fn compared(context: &NativeCallContext, array: &mut Array, by: &FnPtr) -> Thrown<()> {
    merge_sort(array, &mut |a, b| {
        let said = by.call_raw(context, None, [a.clone(), b.clone()])?;
        let number =
            said.as_int().or_else(|_| said.as_bool().map(|first| if first { -1 } else { 1 }));
        Ok(number.unwrap_or(0).cmp(&0))
    })
}

/// Stable; asks for each pair at most once and believes every answer.
fn merge_sort<E>(
    array: &mut Array,
    order: &mut impl FnMut(&Dynamic, &Dynamic) -> Result<Ordering, E>,
) -> Result<(), E> {
    if array.len() < 2 {
        return Ok(());
    }
    let mut right = array.split_off(array.len() / 2);
    let halves = merge_sort(array, order).and_then(|()| merge_sort(&mut right, order));
    let mut left = std::mem::take(array).into_iter().peekable();
    let mut right = right.into_iter().peekable();
    let mut result = halves;
    while let (Ok(()), Some(a), Some(b)) = (&result, left.peek(), right.peek()) {
        match order(a, b) {
            Ok(Ordering::Greater) => array.extend(right.next()),
            Ok(_) => array.extend(left.next()),
            Err(error) => result = Err(error),
        }
    }
    // What is left over on one side; after an error, everything, so that no entry is lost.
    array.extend(left);
    array.extend(right);
    result
}
