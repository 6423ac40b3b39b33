//! Templates: `{name}` and `{count|share|shares}`.

use std::collections::BTreeSet;

use crate::value::{Value, ValueMap};

/// A template with its arguments filled in.
pub(super) fn render(template: &str, args: &ValueMap) -> String {
    let mut out = String::with_capacity(template.len());
    for piece in pieces(template) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Slot { whole, name, forms } => match (args.get(name), forms) {
                (None, _) => out.push_str(whole),
                (Some(value), None) => write_value(&mut out, value),
                (Some(value), Some((one, many))) => {
                    out.push_str(if *value == Value::Int(1) { one } else { many });
                }
            },
        }
    }
    out
}

/// Names of the arguments of a template.
pub(super) fn placeholders(template: &str) -> BTreeSet<String> {
    pieces(template)
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Slot { name, .. } => Some(name.to_owned()),
            Piece::Text(_) => None,
        })
        .collect()
}

enum Piece<'a> {
    Text(&'a str),
    Slot { whole: &'a str, name: &'a str, forms: Option<(&'a str, &'a str)> },
}

/// Cuts a template at its braces; a brace without its partner is text.
fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((inner, next)) = after.split_once('}') else { break };
        let whole = rest.get(before.len()..before.len() + inner.len() + 2).unwrap_or_default();
        let mut parts = inner.split('|');
        let name = parts.next().unwrap_or_default();
        let forms = parts.next().zip(parts.next());
        found.push(Piece::Text(before));
        found.push(Piece::Slot { whole, name, forms });
        rest = next;
    }
    found.push(Piece::Text(rest));
    found
}

/// A value as a member reads it.
fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Unit => {}
        Value::Bool(value) => out.push_str(if *value { "✓" } else { "✗" }),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Float(value) => out.push_str(&value.to_string()),
        Value::Text(text) => out.push_str(text),
        Value::Member(member) => out.push_str(&member.nickname),
        Value::List(items) => join(out, items.iter()),
        Value::Map(map) => join(out, map.values()),
    }
}

/// Several values in a row; the comma of lists is the one that both languages read.
fn join<'a>(out: &mut String, items: impl Iterator<Item = &'a Value>) {
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write_value(out, item);
    }
}

#[cfg(test)]
mod tests {
    use super::{placeholders, render};
    use crate::value::{Value, ValueMap};

    #[test]
    fn chooses_the_plural() {
        let template = "{n} {n|share|shares} left";
        let of = |n: i64| render(template, &ValueMap::from([("n".to_owned(), Value::Int(n))]));
        assert_eq!(of(1), "1 share left");
        assert_eq!(of(3), "3 shares left");
        assert_eq!(placeholders(template).len(), 1);
    }

    #[test]
    fn joins_lists_and_keeps_stray_braces() {
        let list = Value::List(vec!["a".into(), 2.into()]);
        let args = ValueMap::from([("x".to_owned(), list)]);
        assert_eq!(render("{x} {", &args), "a, 2 {");
    }
}
