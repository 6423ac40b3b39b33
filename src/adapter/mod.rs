//! The contract between the core and a platform, and the table of adapters.
//!
//! An adapter turns a platform's payloads into [`Envelope`]s and [`Request`]s into a platform's
//! calls, and says what it can do. It holds no state that matters, never touches the store, and
//! nothing outside its folder knows its platform's types. A new adapter is its folder, one line
//! in [`ADAPTERS`], a config section and its fixtures.

mod backoff;
pub mod console;
pub mod discord;
pub mod onebot;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::TimeMs;
use crate::config::AdapterConfig;
use crate::effect::{Answers, Call, Destination};
use crate::event::{Element, Envelope};
use crate::id::Ref;
use crate::script::protocol::Param;

/// A future on the heap, as object-safe traits need it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One line of the table of adapters.
pub struct AdapterSpec {
    /// Platform name: the section `[adapters.NAME]` and the first half of every reference.
    pub name: &'static str,
    /// One sentence for `doctor` and the documentation.
    pub about: &'static str,
    /// What of its library is logged, as in `RUST_LOG`; empty where nothing needs to be said.
    pub log: &'static str,
    /// What its section may say, besides `enabled`.
    pub keys: &'static [AdapterKey],
    /// Makes the adapter from its section of the configuration; opens nothing yet.
    pub build: fn(&AdapterConfig) -> anyhow::Result<Arc<dyn Adapter>>,
}

/// A key of `[adapters.NAME]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdapterKey {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub kind: AdapterKind,
    /// What holds without it.
    pub default: AdapterDefault,
    /// One sentence: what it is for.
    pub about: &'static str,
}

/// What a key of an adapter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdapterKind {
    /// Text.
    Text,
    /// A whole number.
    Int,
    /// True or false.
    Bool,
    /// `"${NAME}"` or `"file:PATH"`; never written in config.toml itself.
    Secret,
}

/// What holds where a key of an adapter is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdapterDefault {
    /// The section is wrong without it.
    Required,
    /// Nothing.
    Absent,
    /// This text.
    Text(&'static str),
    /// This number.
    Int(i64),
    /// True or false.
    Bool(bool),
}

/// Every adapter in this binary.
pub static ADAPTERS: &[AdapterSpec] = &[console::SPEC, discord::SPEC, onebot::SPEC];

/// What the core asks of an adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// One key for each effect; the same on every try.
    pub key: String,
    /// The account that should make it; another of the platform may where that one is away.
    pub account: Ref,
    /// The event that it follows from, where that is known: a platform that waits for an answer to
    /// it gets this call as the answer.
    pub answers: Option<Answers>,
    /// Where to.
    pub to: Destination,
    /// What.
    pub call: Call,
    /// Which try, from 1.
    pub attempt: u32,
    /// When the turn that wanted it was decided, Unix ms: nothing of it can have been there before.
    pub since: TimeMs,
}

/// What reading back tells of a call whose outcome is in doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is there; the platform's id.
    Yes(Option<String>),
    /// It is certainly not there.
    No,
    /// The platform cannot be asked now, later perhaps.
    Later,
    /// The platform cannot tell.
    Unknown,
}

/// What became of a call, as far as anybody can know.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Done; the platform's id of what it made, where it made something, and what had to be
    /// shown differently.
    Done {
        /// The platform's id.
        id: Option<String>,
        /// Elements that were shown otherwise than asked.
        degraded: Vec<Degradation>,
    },
    /// Certainly not done, may be tried again: no byte of it left, or the platform itself answered
    /// so (429, or another 4xx that says it). A 5xx and a time that ran out are [`Self::Unknown`].
    NotSent {
        /// Why.
        reason: String,
        /// Not before this much later, where the platform said so.
        retry_after: Option<Duration>,
    },
    /// No call was made: the account is not connected, or the platform cannot be reached.
    Offline {
        /// Why.
        reason: String,
    },
    /// Nobody knows: something of it left, and no answer came that says what became of it.
    Unknown {
        /// Why.
        reason: String,
    },
    /// Nobody knows, and the platform would not recognise a repeat of this call, whatever it can do
    /// for others.
    Unrepeatable {
        /// Why.
        reason: String,
    },
    /// Certainly not done and never will be.
    Permanent {
        /// Why.
        reason: String,
    },
    /// Certainly not done, and nothing else that goes there would be now.
    Closed {
        /// Who refuses.
        why: Barred,
        /// Why, in the platform's words.
        reason: String,
    },
}

/// Why nothing goes to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barred {
    /// The bot may not speak there for a time.
    Muted,
    /// The bot is no longer there, or the place is gone.
    Removed,
    /// The bot lacks the right to.
    Forbidden,
    /// The platform does not accept the bot's account: nothing goes anywhere.
    Token,
    /// The account is not connected, or the platform cannot be reached.
    Offline,
}

impl Barred {
    /// One word, at the head of a delivery's reason.
    pub fn word(self) -> &'static str {
        match self {
            Self::Muted => "muted",
            Self::Removed => "removed",
            Self::Forbidden => "forbidden",
            Self::Token => "token",
            Self::Offline => "offline",
        }
    }

    /// It holds for everything that the account sends.
    pub fn is_whole_account(self) -> bool {
        match self {
            Self::Token | Self::Offline => true,
            Self::Muted | Self::Removed | Self::Forbidden => false,
        }
    }
}

/// An element that the platform cannot show as it was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Degradation {
    /// Which element.
    pub element: &'static str,
    /// What was shown instead.
    pub shown_as: &'static str,
}

/// How far repeating a call is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendSafety {
    /// The platform drops a repeat with the same key for this long.
    Idempotent {
        /// The window.
        window: Duration,
    },
    /// What was sent can be read back.
    ReadBack,
    /// Neither.
    None,
}

/// How well an element is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// As it is.
    Native,
    /// As something else.
    Degraded,
    /// Not at all.
    None,
}

/// What the bot can see of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Everything.
    All,
    /// Messages that mention it.
    Mentions,
    /// Commands only.
    Commands,
    /// Nothing: it can only send.
    None,
}

/// Whether the platform may close the account for being a bot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Risk {
    /// An official interface.
    Official,
    /// Unofficial: sends are paced.
    Unofficial,
}

/// Over what a rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateScope {
    /// Everything that one account sends.
    Account,
    /// What goes to one group or person.
    Destination,
}

/// A rate of messages to keep, because the platform enforces it or the account would stand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Over what.
    pub scope: RateScope,
    /// So many messages …
    pub count: u32,
    /// … in so long.
    pub period: Duration,
    /// What lies above is dropped without an error.
    pub drops_silently: bool,
}

/// Whether events come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redelivery {
    /// Until they are acknowledged.
    AtLeastOnce,
    /// Never.
    AtMostOnce,
    /// From a place that the adapter remembers.
    Cursor,
}

/// Where the bot learns of roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleSource {
    /// With each event.
    Inline,
    /// From a list that must be fetched.
    List,
    /// Nowhere.
    None,
}

/// Everything that an adapter can and cannot do, as data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Words of [`Call`] that work, besides `send`; and `edit`, `private` (a message for one member
    /// alone), `private_answers` (the same as the answer to a button or a slash command),
    /// `history`, `member_list`.
    pub actions: &'static [&'static str],
    /// Longest mute.
    pub mute_max: Option<Duration>,
    /// Support of an element when sent, by its word in [`element_word`].
    pub elements: &'static [(&'static str, Support)],
    /// Longest text in characters.
    pub text_chars: usize,
    /// Rates to keep.
    pub rates: Vec<Rate>,
    /// The bot may post without being asked.
    pub proactive: bool,
    /// How long an answer to an event is possible; `None` is for ever.
    pub reply_window: Option<Duration>,
    /// What it sees.
    pub visibility: Visibility,
    /// How safe it is to repeat a send.
    pub send_safety: SendSafety,
    /// Whether events come again.
    pub redelivery: Redelivery,
    /// Where roles come from.
    pub roles: RoleSource,
    /// Whether the account is at risk.
    pub risk: Risk,
}

impl Capabilities {
    /// Whether an action works here.
    pub fn can(&self, action: &str) -> bool {
        self.actions.contains(&action)
    }

    /// How an element is carried when sent.
    pub fn support(&self, element: &Element) -> Support {
        let word = element_word(element);
        self.elements.iter().find(|(name, _)| *name == word).map_or(Support::None, |(_, how)| *how)
    }
}

/// Characters of an element as a plain platform shows it.
fn visible_chars(element: &Element) -> usize {
    let chars = |text: &str| text.chars().count();
    match element {
        Element::Text(text) | Element::Code(text) | Element::Emoji(text) => chars(text),
        Element::Mention { name, .. } => 1 + chars(name),
        Element::MentionAll => 5,
        Element::Link { url, title } => chars(url) + title.as_deref().map_or(0, chars) + 3,
        Element::Image { url } => chars(url) + 5,
        Element::File { url, name } => chars(url) + chars(name) + 6,
        Element::Button { .. } => 0,
        Element::Break => 1,
    }
}

/// The word for an element in capabilities and degradations.
pub fn element_word(element: &Element) -> &'static str {
    match element {
        Element::Text(_) => "text",
        Element::Mention { .. } => "mention",
        Element::MentionAll => "mention_all",
        Element::Link { .. } => "link",
        Element::Image { .. } => "image",
        Element::File { .. } => "file",
        Element::Emoji(_) => "emoji",
        Element::Button { .. } => "button",
        Element::Code(_) => "code",
        Element::Break => "break",
    }
}

/// A command in force, as a platform may show it to its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOffer {
    /// The verb that members type.
    pub verb: String,
    /// Its name where names are Latin; without one it is only typed.
    pub slash: Option<String>,
    /// What it does in one line, in each language of the catalogue: `(locale, line)`.
    pub about: Vec<(&'static str, String)>,
    /// Its parameters in their order.
    pub params: Vec<Param>,
    /// What it refuses is for the member alone.
    pub quiet: bool,
}

/// What an adapter gives its events to.
pub trait Inbox: Send + Sync {
    /// Takes one event; events offered one after the other stay in that order. Waits while the
    /// mailboxes are full, which is the backpressure. Where the platform waits for an answer, the
    /// receipt hears when the event is committed (or known to be a repeat), not before.
    fn offer(&self, envelope: Envelope, receipt: Option<Receipt>) -> BoxFuture<'_, ()>;

    /// Takes events that came together, in their order; cheaper than one by one.
    fn offer_all(&self, events: Vec<(Envelope, Option<Receipt>)>) -> BoxFuture<'_, ()>;
}

/// Hears what became of one event; dropped without an answer when the bot stops.
pub type Receipt = tokio::sync::oneshot::Sender<Accepted>;

/// What became of an event at the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Committed now.
    New,
    /// Had been committed before; nothing changed.
    Duplicate,
    /// Could not be taken; a platform that repeats should repeat.
    Failed(String),
}

/// One platform.
pub trait Adapter: Send + Sync {
    /// The bot's own account there, `platform:account`.
    fn account(&self) -> Ref;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Brings events until told to stop. Returning means that the platform has ended for good
    /// (a console was closed).
    fn run(
        &self,
        inbox: Arc<dyn Inbox>,
        stop: CancellationToken,
    ) -> BoxFuture<'_, anyhow::Result<()>>;

    /// Makes one call. No hidden retries.
    fn send<'a>(&'a self, request: &'a Request, now: TimeMs) -> BoxFuture<'a, Outcome>;

    /// How long a message is on this platform, counted as [`Capabilities::text_chars`] counts: the
    /// core cuts longer ones into several.
    fn length(&self, content: &[Element]) -> usize {
        content.iter().map(visible_chars).sum()
    }

    /// Looks whether a call that may have been made is there, so that it is neither lost nor made
    /// twice. Asked where the safety is [`SendSafety::ReadBack`], and where a window has closed in
    /// which the platform would have recognised a repeat.
    fn read_back<'a>(&'a self, _request: &'a Request) -> BoxFuture<'a, Seen> {
        Box::pin(async { Seen::Unknown })
    }

    /// How many events of the platform could not be read since this adapter was made; they are in no
    /// archive, so somebody should know.
    fn unreadable(&self) -> u64 {
        0
    }

    /// The commands in force, told before the adapter runs and after every reload. Platforms that
    /// show commands to their members offer these; others need not listen. Returns at once.
    fn offer_commands(&self, _commands: &[CommandOffer]) {}

    /// Told once before the adapter runs: its groups that are known, and when the last event of
    /// its platform came. Where there is a history, what came since is fetched from it.
    fn heard_before(&self, _groups: &[Ref], _until: TimeMs) {}
}
