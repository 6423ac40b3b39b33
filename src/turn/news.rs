//! Host calls of `news::`: what there is to tell here, and what has been told.

use super::calls::Args;
use super::{Stop, Turn, Undo};
use crate::news::{self, Bigrams, FEEDS, ItemId, PICK_MAX, Pick, Posted};
use crate::refusal::Refusal;
use crate::store::PostedRow;
use crate::value::{Role, Value, ValueMap};

/// Editors that a preview goes to.
const EDITORS_MAX: usize = 5;
/// Items that one `news::mark` takes.
const MARK_MAX: usize = PICK_MAX;

impl Turn {
    /// The freshest items of the script's sources that were not posted here.
    pub(super) fn news_pick(&self, args: &Args<'_>) -> Result<Value, Stop> {
        let count = args.int(0)?;
        let most = PICK_MAX as i64;
        if !(1..=most).contains(&count) {
            return Err(Refusal::new("count_range").with("max", most).into());
        }
        let sources = news::feeds(self.setting(FEEDS));
        let shelves = self.world.desk.shelves();
        let picks = news::pick(&shelves, sources, &self.community.posted, self.now, count as usize);
        Ok(Value::List(picks.iter().map(view).collect()))
    }

    /// Marks items as posted; gives those that were not before.
    pub(super) fn news_mark(&mut self, args: &Args<'_>) -> Result<Value, Stop> {
        let items = args.list(0)?;
        if items.len() > MARK_MAX {
            return Err(Stop::Wrong(format!("`news::mark` takes at most {MARK_MAX} items")));
        }
        let mut fresh = Vec::new();
        for item in items {
            let (id, title) = read(item)?;
            if self.community.posted.contains_key(&id) {
                continue;
            }
            let posted = Posted { bigrams: Bigrams::of(&title), at: self.now };
            self.community.posted.insert(id.clone(), posted);
            self.undo.push(Undo::Posted(id.clone()));
            self.made.posted.push(PostedRow {
                community: self.community.id,
                item: id.to_string(),
                title,
                event: self.event.id,
                at: self.now,
            });
            fresh.push(item.clone());
        }
        Ok(Value::List(fresh))
    }

    /// The script's sources and how they are.
    pub(super) fn news_sources(&self) -> Value {
        let shelves = self.world.desk.shelves();
        let sources = news::feeds(self.setting(FEEDS)).map(|address| {
            let shelf = shelves.get(address);
            let or_unit = |value: Option<i64>| value.map_or(Value::Unit, Value::Int);
            Value::map([
                ("address", news::shown(address).into()),
                ("name", shelf.map_or("", |shelf| &shelf.name).into()),
                ("ok_at", or_unit(shelf.and_then(|shelf| shelf.ok_at))),
                ("error", shelf.map_or("", |shelf| &shelf.error).into()),
                ("items", shelf.map_or(0, |shelf| shelf.items.len() as i64).into()),
            ])
        });
        Value::List(sources.collect())
    }

    /// Who decides what is posted: admins and the owner who are here.
    pub(super) fn news_editors(&self) -> Value {
        let members = self.community.members.iter();
        let mut editors: Vec<_> = members
            .filter(|(_, member)| member.role >= Role::Admin && member.is_here() && !member.is_bot)
            .map(|(person, _)| *person)
            .collect();
        editors.sort_unstable();
        editors.truncate(EDITORS_MAX);
        let views = editors.into_iter().filter_map(|it| self.community.view(it, self.now));
        Value::List(views.map(Value::Member).collect())
    }
}

fn view(pick: &Pick) -> Value {
    Value::map([
        ("id", (&*pick.item.id.0).into()),
        ("title", (&*pick.item.title).into()),
        ("source", (&*pick.source).into()),
        ("at", pick.at.into()),
        ("url", (&*pick.item.url).into()),
    ])
}

/// An item as `news::pick` gave it; it may have lain in `state::` since.
fn read(item: &Value) -> Result<(ItemId, String), Stop> {
    let wrong = || Stop::Wrong("`news::mark` takes items as `news::pick` gives them".to_owned());
    let Value::Map(map) = item else { return Err(wrong()) };
    let text = |map: &ValueMap, name: &str| match map.get(name) {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let id =
        text(map, "id").filter(|id| id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()));
    let title = text(map, "title").filter(|title| !title.is_empty());
    let (id, title) = id.zip(title).ok_or_else(wrong)?;
    let title = news::plain(&title, news::parse::TITLE_MAX);
    Ok((ItemId(id.into()), title))
}
