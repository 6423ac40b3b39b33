//! Text functions that measure their output before they make it.
//!
//! Rhai's own `replace` allocates first and is measured afterwards: one call on two texts within
//! their limits takes half a gigabyte. All four overloads are replaced here. Its `pad` never comes
//! to an end with an empty padding. Its `chars` makes an iterator that holds four bytes for each
//! character and that no limit sees; a text can be iterated itself, so `chars` gives a text here.
//! `repeat` is ours, because Rhai has none.

use std::ops::{Range, RangeInclusive};
use std::rc::Rc;

use rhai::{Dynamic, Engine, EvalAltResult, ImmutableString, Position};

use super::fault::{Fault, Outcome};
use super::session::Session;

/// Registers the functions; registered in the engine itself, they win over those of packages.
pub(super) fn install(engine: &mut Engine, session: &Rc<Session>) {
    macro_rules! replace {
        ($($find:ty, $with:ty;)*) => {$(
            let shared = Rc::clone(session);
            engine.register_fn(
                "replace",
                move |text: &mut ImmutableString, find: $find, with: $with| {
                    replace(&shared, text, find.to_string().as_str(), with.to_string().as_str())
                },
            );
        )*};
    }
    replace! { &str, &str; &str, char; char, &str; char, char; }
    let shared = Rc::clone(session);
    engine.register_fn("repeat", move |text: &mut ImmutableString, count: i64| {
        let count = usize::try_from(count).unwrap_or(0);
        fits(&shared, text.len().saturating_mul(count))?;
        Ok::<_, Box<EvalAltResult>>(ImmutableString::from(text.repeat(count)))
    });
    install_pad(engine, session);
    install_chars(engine);
    install_print(engine, session);
}

fn install_pad(engine: &mut Engine, session: &Rc<Session>) {
    let shared = Rc::clone(session);
    engine.register_fn("pad", move |text: &mut ImmutableString, len: i64, with: &str| {
        pad(&shared, text, len, with)
    });
    let shared = Rc::clone(session);
    engine.register_fn("pad", move |text: &mut ImmutableString, len: i64, with: char| {
        pad(&shared, text, len, with.encode_utf8(&mut [0; 4]))
    });
}

fn install_chars(engine: &mut Engine) {
    engine
        .register_fn("chars", |text: ImmutableString| text)
        .register_get("chars", |text: &mut ImmutableString| text.clone())
        .register_fn("chars", |text: &str, start: i64| part(text, start, i64::MAX))
        .register_fn("chars", part)
        .register_fn("chars", |text: &str, range: Range<i64>| {
            let start = range.start.max(0);
            part(text, start, range.end.saturating_sub(start))
        })
        .register_fn("chars", |text: &str, range: RangeInclusive<i64>| {
            let start = (*range.start()).max(0);
            part(text, start, range.end().saturating_sub(start).saturating_add(1))
        });
}

/// `print` and `debug` go into the handler's bounded buffer.
fn install_print(engine: &mut Engine, session: &Rc<Session>) {
    let shared = Rc::clone(session);
    engine.on_print(move |text| shared.print(text));
    let shared = Rc::clone(session);
    engine.on_debug(move |text, _, at| {
        shared.print(&format!("{}: {text}", at.line().unwrap_or(0)));
    });
}

/// Replaces in place.
fn replace(
    session: &Session,
    text: &mut ImmutableString,
    find: &str,
    with: &str,
) -> Result<Dynamic, Box<EvalAltResult>> {
    // An empty text would match between any two characters; nobody means that.
    if find.is_empty() {
        return Ok(Dynamic::UNIT);
    }
    let matches = text.matches(find).count();
    let grown = matches.saturating_mul(with.len().saturating_sub(find.len()));
    fits(session, text.len().saturating_add(grown))?;
    *text = text.replace(find, with).into();
    Ok(Dynamic::UNIT)
}

/// Pads in place to a number of characters; an empty padding changes nothing.
fn pad(
    session: &Session,
    text: &mut ImmutableString,
    len: i64,
    with: &str,
) -> Result<(), Box<EvalAltResult>> {
    let own = text.chars().count();
    let missing = usize::try_from(len).unwrap_or(0).saturating_sub(own);
    let unit = with.chars().count();
    if missing == 0 || unit == 0 {
        return Ok(());
    }
    let (whole, rest) = (missing / unit, missing % unit);
    let rest = with.char_indices().nth(rest).map_or(0, |(offset, _)| offset);
    let grown = with.len().saturating_mul(whole).saturating_add(rest);
    fits(session, text.len().saturating_add(grown))?;
    let mut padded = String::with_capacity(text.len() + grown);
    padded.push_str(text);
    padded.extend(std::iter::repeat_n(with, whole));
    padded.push_str(with.get(..rest).unwrap_or_default());
    *text = padded.into();
    Ok(())
}

/// So many characters of a text from one on; a negative start counts from the end.
fn part(text: &str, start: i64, len: i64) -> ImmutableString {
    let from_end = usize::try_from(start.unsigned_abs()).unwrap_or(usize::MAX);
    let skipped = match usize::try_from(start) {
        Ok(start) => start,
        Err(_) => text.chars().count().saturating_sub(from_end),
    };
    let taken = usize::try_from(len).unwrap_or(0);
    text.chars().skip(skipped).take(taken).collect::<String>().into()
}

/// Whether a text of this length may be made.
fn fits(session: &Session, bytes: usize) -> Result<(), Box<EvalAltResult>> {
    check(session, bytes).map_err(|fault| fault.thrown(session, Position::NONE))
}

/// The same, for who ends the handler in another way.
pub(super) fn check(session: &Session, bytes: usize) -> Outcome<()> {
    let limit = session.limits.string_bytes;
    if bytes <= limit {
        return Ok(());
    }
    Fault::limit(
        "string_bytes",
        format!("this would make a text of {bytes} bytes; at most {limit} are allowed"),
    )
}
