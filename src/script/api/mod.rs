//! Everything that a script can say, in one table.
//!
//! A row carries a function's name, parameters, documentation and the way it runs. Registration
//! into Rhai (`bind`), the checks of arguments (`call`), the lint and `scripts/api.d.rhai`
//! (`docs`) are all made from the rows, so none of them can differ from the others.

mod bind;
mod builtin;
mod call;
mod docs;
mod chance;
mod checkin;
mod command;
mod delivery;
mod effect;
pub(super) mod every;
mod event;
mod group;
mod help;
mod member;
mod news;
mod points;
mod privacy;
mod red_packet;
mod register;
mod routine;
mod rules;
mod score;
mod state;
mod text;
mod time;
mod verbs;
mod words;

use rhai::Dynamic;

use crate::effect::Effect;

use super::fault::Outcome;
use super::manifest::Registry;

pub(super) use bind::install;
pub(super) use bind::out_of_place;
pub(super) use builtin::{builtin, builtin_names};
pub(super) use call::Call;
pub use docs::definitions;
pub(super) use member::PUNISHING;
pub(super) use text::unknown_key;

/// One thing that a script can say.
pub(super) struct Row {
    /// Where it is found.
    pub place: Place,
    /// Its name.
    pub name: &'static str,
    /// Called, or read.
    pub kind: Kind,
    /// What it takes, without the receiver.
    pub params: &'static [Par],
    /// What it gives.
    pub returns: Ty,
    /// Where it works.
    pub needs: Needs,
    /// How it runs.
    pub run: Run,
    /// One or more sentences.
    pub doc: &'static str,
}

/// Where a row is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// By its bare name.
    Global,
    /// In a namespace, `points::grant`.
    In(&'static str),
    /// After a dot, on values of this type.
    On(Ty),
}

/// Called or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `name(…)`
    Function,
    /// `value.name`
    Getter,
}

/// A parameter.
pub(super) struct Par {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub ty: Ty,
    /// May be left out; optional ones come last.
    pub optional: bool,
}

/// Types, as the documentation and the messages name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ty {
    Unit,
    Bool,
    Int,
    Text,
    Array,
    Map,
    /// Plain data.
    Any,
    /// A handler.
    Handler,
    Event,
    Member,
    Group,
    Button,
    /// `"10m"`, or ms.
    Duration,
    /// A text, or an array of texts.
    Texts,
    /// A member, a group, or `"community"`.
    Scope,
    /// An event with a message, or a text.
    Message,
    /// An id: a whole number, a text, or `()`.
    Id,
    /// A member, or `()` where there is none.
    MaybeMember,
    /// A group, or `()` where there is none.
    MaybeGroup,
}

/// Where a row works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// At the top level only.
    TopLevel,
    /// In any handler.
    Handler,
    /// In handlers of something that somebody did.
    Actor,
    /// In handlers of something that concerns a message.
    Message,
    /// In handlers of a message that was sent.
    Content,
    /// In `on_reaction`.
    Emoji,
    /// In `on_button`.
    Value,
    /// In `on_join_request`.
    Request,
    /// In `on_timer`.
    Timer,
}

/// What kind of handler an event was given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `command`
    Command,
    /// `on_message`, `on_keyword`, `on_words`, `on_regex`
    Message,
    /// `on_reaction`
    Reaction,
    /// `on_button`
    Button,
    /// `on_join`
    Join,
    /// `on_leave`
    Leave,
    /// `on_join_request`
    JoinRequest,
    /// `on_timer`
    Timer,
}

impl Shape {
    /// The registration that makes such handlers.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Message => "on_message",
            Self::Reaction => "on_reaction",
            Self::Button => "on_button",
            Self::Join => "on_join",
            Self::Leave => "on_leave",
            Self::JoinRequest => "on_join_request",
            Self::Timer => "on_timer",
        }
    }

    /// Whether a row with these needs works in such a handler.
    pub(super) fn offers(self, needs: Needs) -> bool {
        match needs {
            Needs::TopLevel => false,
            Needs::Handler => true,
            Needs::Actor => self != Self::Timer,
            Needs::Message => {
                matches!(self, Self::Command | Self::Message | Self::Reaction | Self::Button)
            }
            Needs::Content => matches!(self, Self::Command | Self::Message),
            Needs::Emoji => self == Self::Reaction,
            Needs::Value => self == Self::Button,
            Needs::Request => self == Self::JoinRequest,
            Needs::Timer => self == Self::Timer,
        }
    }
}

/// How a row runs.
#[derive(Clone, Copy)]
pub(super) enum Run {
    /// Adds to the manifest.
    Register(fn(&Call, &mut Registry) -> Outcome<()>),
    /// Answers from what the frame holds.
    Pure(fn(&Call) -> Outcome<Dynamic>),
    /// Asks for something; buffered.
    Effect(fn(&Call) -> Outcome<Effect>),
    /// Asks the host and waits.
    Host,
}

/// A required parameter.
const fn par(name: &'static str, ty: Ty) -> Par {
    Par { name, ty, optional: false }
}

/// A parameter that may be left out.
const fn opt(name: &'static str, ty: Ty) -> Par {
    Par { name, ty, optional: true }
}

impl Row {
    const fn new(
        place: Place,
        name: &'static str,
        params: &'static [Par],
        run: Run,
        doc: &'static str,
    ) -> Self {
        let needs = match run {
            Run::Register(_) => Needs::TopLevel,
            Run::Pure(_) | Run::Effect(_) | Run::Host => Needs::Handler,
        };
        Self { place, name, kind: Kind::Function, params, returns: Ty::Unit, needs, run, doc }
    }

    const fn getter(
        on: Ty,
        name: &'static str,
        returns: Ty,
        get: fn(&Call) -> Outcome<Dynamic>,
        doc: &'static str,
    ) -> Self {
        let row = Self::new(Place::On(on), name, &[], Run::Pure(get), doc);
        Self { kind: Kind::Getter, returns, ..row }
    }

    const fn host(
        space: &'static str,
        name: &'static str,
        params: &'static [Par],
        returns: Ty,
        doc: &'static str,
    ) -> Self {
        Self { returns, ..Self::new(Place::In(space), name, params, Run::Host, doc) }
    }

    const fn needs(self, needs: Needs) -> Self {
        Self { needs, ..self }
    }

    const fn returns(self, returns: Ty) -> Self {
        Self { returns, ..self }
    }

    /// Fewest arguments, without the receiver.
    pub fn least(&self) -> usize {
        self.params.iter().filter(|par| !par.optional).count()
    }

    /// The name as a script writes it: `points::grant`, `Member.warn`, `say`.
    pub fn full_name(&self) -> String {
        match self.place {
            Place::Global => self.name.to_owned(),
            Place::In(space) => format!("{space}::{}", self.name),
            Place::On(ty) => format!("{}.{}", ty.word(), self.name),
        }
    }
}

/// One file of rows, with the heading under which it is documented.
pub(super) struct Chapter {
    /// The heading.
    pub title: &'static str,
    /// Its rows.
    pub rows: &'static [Row],
}

/// The table.
pub(super) static TABLE: [Chapter; 21] = [
    Chapter { title: "Registration: top level only", rows: register::ROWS },
    Chapter { title: "The event of a handler", rows: event::ROWS },
    Chapter { title: "Verbs of an event", rows: verbs::ROWS },
    Chapter { title: "Member", rows: member::ROWS },
    Chapter { title: "Group", rows: group::ROWS },
    Chapter { title: "Posting and timers", rows: effect::ROWS },
    Chapter { title: "Time", rows: time::ROWS },
    Chapter { title: "Chance", rows: chance::ROWS },
    Chapter { title: "Words, settings and the end of a handler", rows: text::ROWS },
    Chapter { title: "points", rows: points::ROWS },
    Chapter { title: "red_packet", rows: red_packet::ROWS },
    Chapter { title: "checkin", rows: checkin::ROWS },
    Chapter { title: "score", rows: score::ROWS },
    Chapter { title: "rules", rows: rules::ROWS },
    Chapter { title: "routine", rows: routine::ROWS },
    Chapter { title: "delivery", rows: delivery::ROWS },
    Chapter { title: "state", rows: state::ROWS },
    Chapter { title: "words", rows: words::ROWS },
    Chapter { title: "news", rows: news::ROWS },
    Chapter { title: "privacy", rows: privacy::ROWS },
    Chapter { title: "help", rows: help::ROWS },
];

/// Every row.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    TABLE.iter().flat_map(|chapter| chapter.rows)
}

/// Namespaces of later versions.
pub(super) const LATER_SPACES: [&str; 7] =
    ["tag", "poll", "chain", "invite", "order", "ticket", "plan"];

/// Functions of later versions.
pub(super) const LATER_FUNCTIONS: [&str; 4] = ["ask", "reject", "finish", "on_webhook"];
