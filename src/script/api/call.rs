//! One call of an API function: its arguments, checked against its row.

use std::sync::Arc;

use rhai::{Dynamic, FnPtr, Map, Position};

use crate::value::{MemberView, Value};

use super::super::convert::{from_script, into_script, text_of, type_name};
use super::super::duration;
use super::super::fault::{Fault, Outcome};
use super::super::session::Session;
use super::super::types::{ButtonRef, EventRef, GroupRef, MemberRef};
use super::{Kind, Place, Row, Ty};

/// A call on its way.
pub(in crate::script) struct Call<'a> {
    /// Which row.
    pub row: &'static Row,
    /// Arguments; for methods and getters the receiver comes first.
    pub args: &'a [Dynamic],
    /// The thread's session.
    pub session: &'a Session,
    /// Where in the script.
    pub at: Position,
}

impl Ty {
    /// The type as documentation and messages name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unit => "()",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Text => "text",
            Self::Array => "array",
            Self::Map => "map",
            Self::Any => "any",
            Self::Handler => "handler",
            Self::Event => "Event",
            Self::Member => "Member",
            Self::Group => "Group",
            Self::Button => "Button",
            Self::Duration => "duration",
            Self::Texts => "text|array",
            Self::Scope => "Member|Group|\"community\"",
            Self::Message => "Event|text",
            Self::Id => "int|text|()",
            Self::MaybeMember => "Member|()",
            Self::MaybeGroup => "Group|()",
        }
    }

    /// Whether a value is of this type.
    pub fn accepts(self, value: &Dynamic) -> bool {
        let is_text = value.is_string() || value.is_char();
        match self {
            Self::Unit => value.is_unit(),
            Self::Bool => value.is_bool(),
            Self::Int => value.is_int(),
            Self::Text => is_text,
            Self::Array => value.is_array(),
            Self::Map => value.is_map(),
            Self::Any => !value.is_fnptr() && !value.is::<EventRef>(),
            Self::Handler => value.is_fnptr(),
            Self::Event => value.is::<EventRef>(),
            Self::Member => value.is::<MemberRef>(),
            Self::Group => value.is::<GroupRef>(),
            Self::Button => value.is::<ButtonRef>(),
            Self::Duration => is_text || value.is_int(),
            Self::Texts => is_text || value.is_array(),
            Self::Scope => {
                value.is::<MemberRef>()
                    || value.is::<GroupRef>()
                    || text_of(value).is_some_and(|text| text == "community")
            }
            Self::Message => is_text || value.is::<EventRef>(),
            Self::Id => is_text || value.is_int() || value.is_unit(),
            Self::MaybeMember => value.is_unit() || value.is::<MemberRef>(),
            Self::MaybeGroup => value.is_unit() || value.is::<GroupRef>(),
        }
    }
}

impl<'a> Call<'a> {
    /// Arguments without the receiver.
    pub fn given(&self) -> &'a [Dynamic] {
        match self.row.place {
            Place::On(_) => self.args.get(1..).unwrap_or_default(),
            Place::Global | Place::In(_) => self.args,
        }
    }

    /// The name as the script wrote it.
    pub fn name(&self) -> String {
        match (self.row.place, self.row.kind) {
            (Place::On(_), Kind::Function) => self.row.name.to_owned(),
            _ => self.row.full_name(),
        }
    }

    /// How many arguments fit their parameters, from the left.
    pub fn fitting(&self) -> usize {
        let pairs = self.given().iter().zip(self.row.params);
        pairs.take_while(|(value, par)| par.ty.accepts(value)).count()
    }

    /// Whether all arguments fit.
    pub fn fits(&self) -> bool {
        self.fitting() == self.given().len()
    }

    /// What is wrong with the first argument that does not fit.
    pub fn mismatch<T>(&self) -> Outcome<T> {
        let index = self.fitting();
        let (Some(par), Some(value)) = (self.row.params.get(index), self.given().get(index)) else {
            return Fault::wrong(format!("`{}` got too many arguments", self.name()));
        };
        let got = match text_of(value) {
            Some(text) if par.ty == Ty::Scope => format!("the text \"{text}\""),
            _ => type_name(value).to_owned(),
        };
        let next = match (par.ty, value.is_unit()) {
            (Ty::Member, true) => ": nobody was named; check with `if x != ()` first",
            (Ty::Text, _) if value.is_int() || value.is_float() => {
                ": write it inside a text, `${n}` in backticks"
            }
            _ => "",
        };
        Fault::wrong(format!(
            "`{}` takes `{}` as {}, got {got}{next}",
            self.name(),
            par.name,
            par.ty.word()
        ))
    }

    /// The argument at this place, if it was given.
    pub fn arg(&self, index: usize) -> Option<&'a Dynamic> {
        self.given().get(index)
    }

    /// A text; empty where it was left out.
    pub fn text(&self, index: usize) -> String {
        self.arg(index).and_then(text_of).unwrap_or_default()
    }

    /// A whole number.
    pub fn int(&self, index: usize) -> i64 {
        self.arg(index).and_then(|value| value.as_int().ok()).unwrap_or_default()
    }

    /// A map; empty where it was left out.
    pub fn map(&self, index: usize) -> Map {
        self.arg(index).and_then(|value| value.clone().try_cast()).unwrap_or_default()
    }

    /// A handler.
    pub fn handler(&self, index: usize) -> Outcome<FnPtr> {
        match self.arg(index).and_then(|value| value.clone().try_cast()) {
            Some(pointer) => Ok(pointer),
            None => self.mismatch(),
        }
    }

    /// A member.
    pub fn member(&self, index: usize) -> Outcome<Arc<MemberView>> {
        match self.arg(index).and_then(|value| value.read_lock::<MemberRef>()) {
            Some(member) => Ok(Arc::clone(&member.0)),
            None => self.mismatch(),
        }
    }

    /// A duration in ms, at least 1 and at most [`duration::MAX_MS`].
    pub fn duration(&self, index: usize) -> Outcome<i64> {
        let value = self.arg(index);
        let ms = match value.and_then(text_of) {
            Some(text) => duration::parse(&text),
            None => Some(self.int(index)),
        };
        match ms {
            Some(ms) if (1..=duration::MAX_MS).contains(&ms) => Ok(ms),
            _ => Fault::wrong(format!(
                "`{}` takes a duration such as \"10m\" or \"2小时\", got `{}`",
                self.name(),
                value.map(ToString::to_string).unwrap_or_default()
            )),
        }
    }

    /// The receiver of a method or getter, as an event.
    pub fn event(&self) -> Outcome<EventRef> {
        let event = self.args.first().and_then(|value| value.clone().try_cast());
        event.map_or_else(|| self.no_receiver(), Ok)
    }

    /// The receiver, as a member.
    pub fn this_member(&self) -> Outcome<Arc<MemberView>> {
        let member = self.args.first().and_then(|value| value.clone().try_cast::<MemberRef>());
        member.map_or_else(|| self.no_receiver(), |member| Ok(member.0))
    }

    /// The receiver, as a group.
    pub fn this_group(&self) -> Outcome<GroupRef> {
        let group = self.args.first().and_then(|value| value.clone().try_cast());
        group.map_or_else(|| self.no_receiver(), Ok)
    }

    fn no_receiver<T>(&self) -> Outcome<T> {
        Fault::wrong(format!("`{}` has nothing to work on", self.name()))
    }

    /// Asks the host with all arguments.
    pub fn forward(&self) -> Outcome<Dynamic> {
        let args = self.args.iter().map(plain).collect::<Outcome<Vec<Value>>>()?;
        self.session.host_call(self.row.full_name(), args).map(into_script)
    }
}

/// An argument of a host call; an event counts as its text.
fn plain(value: &Dynamic) -> Outcome<Value> {
    match value.read_lock::<EventRef>() {
        Some(event) => Ok(Value::Text(crate::event::plain_text(&event.frame.event.elements))),
        None => from_script(value),
    }
}
