//! Text functions that measure their output before they make it.
//!
//! Rhai's own `replace` allocates first and is measured afterwards: one call on two texts within
//! their limits takes half a gigabyte. All four overloads are replaced here;
//! `pad` measures itself. `repeat` is ours, because Rhai has none.

use std::rc::Rc;

use rhai::{Dynamic, Engine, EvalAltResult, ImmutableString, Position};

use super::fault::Fault;
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
    install_print(engine, session);
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

/// Whether a text of this length may be made.
fn fits(session: &Session, bytes: usize) -> Result<(), Box<EvalAltResult>> {
    let limit = session.limits.string_bytes;
    if bytes <= limit {
        return Ok(());
    }
    let fault = Fault::limit::<()>(
        "string_bytes",
        format!("this would make a text of {bytes} bytes; at most {limit} are allowed"),
    );
    fault.map_err(|fault| fault.thrown(session, Position::NONE))
}
