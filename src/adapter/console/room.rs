//! Who is in the console's groups and what was said there lately: the "platform" behind the
//! console.
//!
//! Everything here is forgotten at the end; what matters is in the bot's store. Message ids carry
//! the run, so that an id of yesterday can never mean a message of today.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::clock::TimeMs;
use crate::event::Quote;
use crate::id::Ref;
use crate::value::Role;

use super::plain::plain_line;
use super::typed::{Misread, Pointer, Spot};

/// Name of the group that is there from the start, and of the bot in it.
pub const HOME: &str = "群岛";

/// So many messages can still be answered, pressed, edited or deleted.
const REMEMBERED: usize = 1000;

/// The state of the console's groups.
#[derive(Debug)]
pub struct Room {
    run: String,
    keys: u64,
    posted: u64,
    messages: VecDeque<Posted>,
    members: BTreeMap<String, Guest>,
    banned: BTreeSet<String>,
    groups: Vec<String>,
    here: usize,
    speaker: String,
}

/// A member as the console knows her.
#[derive(Clone, Debug, Default)]
pub struct Guest {
    /// What she may do.
    pub role: Role,
    /// A bot's account.
    pub is_bot: bool,
    /// Groups that she is in.
    pub groups: BTreeSet<String>,
    /// Silenced until then, Unix ms.
    pub muted_until: TimeMs,
}

/// Where a message stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a group.
    Group(String),
    /// Between the bot and one member.
    Direct(String),
}

/// A message that was shown.
#[derive(Clone, Debug)]
pub struct Posted {
    /// Its number on the screen.
    pub number: u64,
    /// Its id, `run:number`.
    pub id: String,
    /// Where.
    pub place: Place,
    /// Who wrote it; `None` is the bot.
    pub author: Option<String>,
    /// Its text.
    pub text: String,
    /// Label and value of its buttons.
    pub buttons: Vec<(String, String)>,
}

impl Room {
    /// An empty group. `run` is part of every id that this room gives out.
    pub fn new(run: &str, groups: &[String]) -> Self {
        let groups = if groups.is_empty() { vec![HOME.to_owned()] } else { groups.to_vec() };
        Self {
            run: run.to_owned(),
            keys: 0,
            posted: 0,
            messages: VecDeque::new(),
            members: BTreeMap::new(),
            banned: BTreeSet::new(),
            groups,
            here: 0,
            speaker: String::new(),
        }
    }

    /// The bot's own account; `@` cannot be part of a member's name.
    pub fn account() -> Ref {
        Ref::new("console", "@bot")
    }

    /// The reference of a member or a group.
    pub fn reference(name: &str) -> Ref {
        Ref::new("console", name)
    }

    /// A key that no other event of this run has.
    pub fn next_key(&mut self) -> String {
        self.keys += 1;
        format!("{}:{}", self.run, self.keys)
    }

    /// Puts a member there without any event: she has always been there.
    pub fn admit(&mut self, name: &str, role: Role, is_bot: bool, groups: &[String]) {
        let groups = if groups.is_empty() { &self.groups } else { groups };
        let groups = groups.iter().cloned().collect();
        let guest = Guest { role, is_bot, groups, muted_until: 0 };
        self.members.insert(name.to_owned(), guest);
        if self.speaker.is_empty() {
            self.speaker = name.to_owned();
        }
    }

    /// The name of whoever speaks.
    pub fn speaker(&self) -> &str {
        &self.speaker
    }

    /// Lets somebody else speak.
    pub fn set_speaker(&mut self, name: &str) {
        self.speaker = name.to_owned();
    }

    /// The group in front.
    pub fn here(&self) -> &str {
        self.groups.get(self.here).map_or(HOME, String::as_str)
    }

    /// Puts a group in front, new or not; says whether it is new.
    pub fn set_here(&mut self, group: &str) -> bool {
        let found = self.groups.iter().position(|name| name == group);
        self.here = found.unwrap_or(self.groups.len());
        if found.is_none() {
            self.groups.push(group.to_owned());
        }
        found.is_none()
    }

    /// Every group.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// Everybody who was ever there, with what is known of them.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Guest)> {
        self.members.iter().map(|(name, guest)| (name.as_str(), guest))
    }

    /// One member.
    pub fn guest(&self, name: &str) -> Option<&Guest> {
        self.members.get(name)
    }

    /// One member, to be changed.
    pub fn guest_mut(&mut self, name: &str) -> Option<&mut Guest> {
        self.members.get_mut(name)
    }

    /// Notes that a member may not come back.
    pub fn ban(&mut self, name: &str) {
        self.banned.insert(name.to_owned());
    }

    /// Lets somebody in.
    ///
    /// # Errors
    /// She is there already, or banned.
    pub fn enter(&mut self, name: &str, group: &str) -> Result<(), Misread> {
        check_name(name)?;
        if self.banned.contains(name) {
            return Err(Misread(format!("{name} was banned from {group} and cannot come back.")));
        }
        let guest = self.members.entry(name.to_owned()).or_default();
        if !guest.groups.insert(group.to_owned()) {
            return Err(Misread(format!("{name} is in {group} already.")));
        }
        Ok(())
    }

    /// Lets somebody go.
    ///
    /// # Errors
    /// She is not there.
    pub fn exit(&mut self, name: &str, group: &str) -> Result<(), Misread> {
        let was_there = self.members.get_mut(name).is_some_and(|guest| guest.groups.remove(group));
        was_there.then_some(()).ok_or_else(|| self.absent(name, group))
    }

    /// The group that a line means.
    ///
    /// # Errors
    /// There is no such group.
    pub fn group_of(&self, spot: &Spot) -> Result<Option<String>, Misread> {
        match spot {
            Spot::Here => Ok(Some(self.here().to_owned())),
            Spot::Bot => Ok(None),
            Spot::Group(name) if self.groups.contains(name) => Ok(Some(name.clone())),
            Spot::Group(name) => Err(Misread(format!(
                "There is no group `{name}`; there are: {}.",
                self.groups.join(", ")
            ))),
        }
    }

    /// Checks that a member can act in a group now.
    ///
    /// # Errors
    /// She is not there, or silenced.
    pub fn may_act(&self, name: &str, group: Option<&str>, now: TimeMs) -> Result<(), Misread> {
        let Some(guest) = self.members.get(name) else {
            return Err(self.absent(name, self.here()));
        };
        let Some(group) = group else { return Ok(()) };
        if !guest.groups.contains(group) {
            return Err(self.absent(name, group));
        }
        if guest.muted_until > now {
            let rest = super::span::show_span(guest.muted_until - now);
            let next = "let the time pass with `/clock`";
            return Err(Misread(format!("{name} is muted for another {rest}; {next}.")));
        }
        Ok(())
    }

    /// Notes a message and gives it a number.
    pub fn post(
        &mut self,
        place: Place,
        author: Option<&str>,
        text: &str,
        buttons: Vec<(String, String)>,
    ) -> Posted {
        self.posted += 1;
        let number = self.posted;
        let id = format!("{}:{number}", self.run);
        let author = author.map(str::to_owned);
        let posted = Posted { number, id, place, author, text: text.to_owned(), buttons };
        if self.messages.len() == REMEMBERED {
            self.messages.pop_front();
        }
        self.messages.push_back(posted.clone());
        posted
    }

    /// The message with this id, while it is remembered and not deleted.
    pub fn message_mut(&mut self, id: &str) -> Option<&mut Posted> {
        self.messages.iter_mut().find(|posted| posted.id == id)
    }

    /// Forgets a message.
    pub fn delete(&mut self, id: &str) -> Option<Posted> {
        let index = self.messages.iter().position(|posted| posted.id == id)?;
        self.messages.remove(index)
    }

    /// The latest messages, oldest first.
    pub fn latest(&self, count: usize) -> impl Iterator<Item = &Posted> {
        self.messages.iter().skip(self.messages.len().saturating_sub(count))
    }

    /// The message that a line points at.
    ///
    /// # Errors
    /// There is none.
    pub fn find(&self, place: &Place, pointer: Option<&Pointer>) -> Result<&Posted, Misread> {
        let mut there = self.messages.iter().rev().filter(|posted| posted.place == *place);
        match pointer {
            None => there.next().ok_or_else(|| Misread("There is no message yet.".into())),
            Some(Pointer::Number(number)) => {
                there.find(|posted| posted.number == *number).ok_or_else(|| {
                    Misread(format!("There is no message {number} here; `/messages` lists them."))
                })
            }
            Some(Pointer::Starting(start)) => {
                there.find(|posted| posted.text.starts_with(start.as_str())).ok_or_else(|| {
                    Misread(format!("No message here begins with `{}`.", plain_line(start)))
                })
            }
        }
    }

    /// The latest message with such a button, and the button's value.
    ///
    /// # Errors
    /// There is none; the sentence names those that are there.
    pub fn button(&self, place: &Place, label: &str) -> Result<(String, String), Misread> {
        let there = || self.messages.iter().rev().filter(|posted| posted.place == *place);
        let found = there().find_map(|posted| {
            let (_, value) = posted.buttons.iter().find(|(name, _)| name == label)?;
            Some((posted.id.clone(), value.clone()))
        });
        found.ok_or_else(|| {
            let names: BTreeSet<&str> = there()
                .flat_map(|posted| posted.buttons.iter().map(|(name, _)| name.as_str()))
                .collect();
            let names: Vec<&str> = names.into_iter().collect();
            let label = plain_line(label);
            Misread(if names.is_empty() {
                format!("There is no button `{label}`: no message here has buttons.")
            } else {
                format!("There is no button `{label}`; there are: {}.", names.join(", "))
            })
        })
    }

    fn absent(&self, name: &str, group: &str) -> Misread {
        let name = plain_line(name);
        let near = self
            .members
            .keys()
            .map(|known| (strsim::jaro_winkler(known, &name), known))
            .filter(|(likeness, known)| *likeness > 0.65 && **known != name)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let hint = near.map_or_else(
            || format!("let the member in with `/join {name}`"),
            |(_, known)| format!("did you mean {known}? Otherwise `/join {name}`"),
        );
        Misread(format!("{name} is not in {group}; {hint}."))
    }
}

impl Posted {
    /// The message as an answer quotes it.
    pub fn quote(&self) -> Quote {
        let author = self.author.as_deref().map_or_else(Room::account, Room::reference);
        Quote { message: self.id.clone(), author: Some(author), text: self.text.clone() }
    }
}

/// Checks that a name can be typed as one and shown.
///
/// # Errors
/// It is empty or has marks that the grammar needs.
pub fn check_name(name: &str) -> Result<(), Misread> {
    let bad = |c: char| matches!(c, ':' | '：' | '@' | '>' | '/' | '"') || c.is_control();
    if name.is_empty() || name.contains(bad) || name.trim() != name || name.chars().count() > 32 {
        let name = plain_line(name);
        return Err(Misread(format!(
            "`{name}` cannot be a name here: use 1 to 32 characters without : @ > / and quotes."
        )));
    }
    Ok(())
}
