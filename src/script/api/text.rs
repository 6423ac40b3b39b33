//! Wording, settings, refusing and stopping.

use rhai::Dynamic;

use crate::refusal::Refusal;
use crate::value::{Value, ValueMap};

use super::super::convert::{from_script, into_script};
use super::super::fault::{Fault, Outcome};
use super::super::lint::nearest;
use super::super::session::End;
use super::{Call, Place, Row, Run, Ty, opt, par};

pub(super) static ROWS: &[Row] = &[
    pure("text", &[par("key", Ty::Text), opt("args", Ty::Map)], text, "A sentence of the catalogue in the community's language; `{name}` in it takes `args.name`.")
        .returns(Ty::Text),
    pure("cfg", &[par("name", Ty::Text)], cfg, "The value of a setting that `setting(name, default)` declared.")
        .returns(Ty::Any),
    pure("stop", &[], |_| Err(Fault::End(End::Stop)), "Ends this handler and all that would run after it on this event; what it asked for so far stays."),
    pure("refuse", &[par("code", Ty::Text), opt("data", Ty::Map)], refuse, "Refuses: undoes this handler and answers with the sentence `refuse.CODE` of the catalogue."),
];

const fn pure(
    name: &'static str,
    params: &'static [super::Par],
    answer: fn(&Call) -> Outcome<Dynamic>,
    doc: &'static str,
) -> Row {
    Row::new(Place::Global, name, params, Run::Pure(answer), doc)
}

/// A map argument as plain data; empty where it was left out.
fn data(call: &Call, index: usize) -> Outcome<ValueMap> {
    match call.arg(index).map(from_script).transpose()? {
        Some(Value::Map(map)) => Ok(map),
        _ => Ok(ValueMap::new()),
    }
}

fn text(call: &Call) -> Outcome<Dynamic> {
    let (key, args) = (call.text(0), data(call, 1)?);
    if !crate::text::exists(&key) {
        return Fault::wrong(unknown_key(&key));
    }
    let locale = call.session.running(|running| Ok(running.frame.locale.clone()))?;
    Ok(crate::text::text(&locale, &key, &args).into())
}

/// The sentence for a key that the catalogue does not have.
pub(in crate::script) fn unknown_key(key: &str) -> String {
    let hint = nearest(key, crate::text::keys()).map_or_else(
        || "add it to the catalogue, or write the text itself".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    format!("the catalogue has no text `{key}`: {hint}")
}

fn cfg(call: &Call) -> Outcome<Dynamic> {
    let name = call.text(0);
    call.session.running(|running| {
        let settings = running.frame.runs.get(running.run).map(|run| &run.settings);
        match settings.and_then(|settings| settings.get(&name)) {
            Some(value) => Ok(into_script(value.clone())),
            None => Fault::wrong(format!(
                "there is no setting `{name}`: declare it with `setting(\"{name}\", …)` at the top"
            )),
        }
    })
}

fn refuse(call: &Call) -> Outcome<Dynamic> {
    Err(Fault::Refused(Refusal { code: call.text(0), data: data(call, 1)? }))
}
