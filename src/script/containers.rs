//! Functions of arrays and maps that measure what they make before they make it.
//!
//! Rhai's `pad` of an array multiplies lengths that can wrap around to a small number, and then
//! asks for all the memory there is. Its texts of arrays and maps are measured when they are
//! made; a thousand entries may share one text, so they can be a thousand times what was kept.

use std::rc::Rc;

use rhai::{
    Array, Dynamic, Engine, EvalAltResult, ImmutableString, Map, NativeCallContext, Position,
};

use super::fault::{Fault, Outcome};
use super::session::Session;
use super::strings;
use super::weight::Weight;

/// The functions of Rhai that make a text of a whole array or map.
const TEXTS: [&str; 4] = ["to_string", "to_debug", "print", "debug"];

/// Registers the functions; registered in the engine itself, they win over those of packages.
pub(super) fn install(engine: &mut Engine, session: &Rc<Session>) {
    let shared = Rc::clone(session);
    engine.register_fn("pad", move |array: &mut Array, len: i64, item: Dynamic| {
        pad(&shared, array, len, &item).map_err(|fault| fault.thrown(&shared, Position::NONE))
    });
    for name in TEXTS {
        let shared = Rc::clone(session);
        engine.register_fn(name, move |context: NativeCallContext, array: &mut Array| {
            show(&shared, array_weight(array), || array_text(&context, array))
        });
        let shared = Rc::clone(session);
        engine.register_fn(name, move |context: NativeCallContext, map: &mut Map| {
            show(&shared, map_weight(map), || map_text(&context, map))
        });
    }
    let shared = Rc::clone(session);
    engine.register_fn("to_json", move |map: &mut Map| {
        show(&shared, map_weight(map), || rhai::format_map_as_json(map).into())
    });
}

/// Pads in place.
fn pad(session: &Session, array: &mut Array, len: i64, item: &Dynamic) -> Outcome<()> {
    let wanted = usize::try_from(len).unwrap_or(0);
    let missing = wanted.saturating_sub(array.len());
    if missing == 0 {
        return Ok(());
    }
    let (own, each) = (array_weight(array), Weight::of(item));
    let entries = own.entries.saturating_add(missing.saturating_mul(each.entries + 1));
    let limit = session.limits.entries;
    if entries > limit {
        return Fault::limit(
            "entries",
            format!("this would make an array of {entries} entries; at most {limit} are allowed"),
        );
    }
    strings::check(session, own.bytes.saturating_add(missing.saturating_mul(each.bytes)))?;
    array.resize(wanted, item.clone());
    Ok(())
}

/// The text, unless it is sure to be too long.
///
/// Where these functions fail, Rhai makes the text in another way; so the handler is told to end,
/// which it does at its next operation, and gets an empty text until then.
fn show(
    session: &Session,
    weight: Weight,
    make: impl FnOnce() -> ImmutableString,
) -> ImmutableString {
    // Each entry takes two bytes at least, with the comma behind it.
    let bytes = weight.bytes.saturating_add(weight.entries.saturating_mul(2));
    match strings::check(session, bytes) {
        Err(Fault::End(end)) => {
            session.end_with(end);
            ImmutableString::new()
        }
        _ => make(),
    }
}

fn array_weight(array: &Array) -> Weight {
    let mut weight = Weight { entries: array.len(), bytes: 0 };
    array.iter().for_each(|item| weight.add(item));
    weight
}

fn map_weight(map: &Map) -> Weight {
    let bytes = map.keys().map(|key| key.len()).sum();
    let mut weight = Weight { entries: map.len(), bytes };
    map.values().for_each(|item| weight.add(item));
    weight
}

/// As Rhai writes it.
fn array_text(context: &NativeCallContext, array: &mut Array) -> ImmutableString {
    let items: Vec<String> = array.iter_mut().map(|item| debug(context, item)).collect();
    format!("[{}]", items.join(", ")).into()
}

/// As Rhai writes it.
fn map_text(context: &NativeCallContext, map: &mut Map) -> ImmutableString {
    let items: Vec<String> =
        map.iter_mut().map(|(key, item)| format!("{key:?}: {}", debug(context, item))).collect();
    format!("#{{{}}}", items.join(", ")).into()
}

/// One entry, through `to_debug` so that our own types show as they do elsewhere.
fn debug(context: &NativeCallContext, item: &mut Dynamic) -> String {
    let shown: Result<Dynamic, Box<EvalAltResult>> =
        context.call_native_fn_raw("to_debug", true, &mut [item]);
    match shown {
        Ok(text) => text.to_string(),
        Err(_) => format!("{item:?}"),
    }
}
