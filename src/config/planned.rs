//! `[posting]`, `[[posting.slot]]` and `[[routine]]`: what the bot does at set times.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::de::DeTable;

use super::keys::{self, Key};
use super::read::{Node, Reader};
use super::{CommunityConfig, Config};
use crate::dispatch::ROUTINES;
use crate::id::{Ref, ScriptName};
use crate::routine::spec::{DayMinute, day_minute};
use crate::routine::{Cron, Missed, Posting, PostingSlot, Routine, RoutineSpec, Times};

/// `[posting]` and its slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostingConfig {
    /// What holds where a community says nothing.
    pub common: Posting,
    /// Profiles of communities that have one of their own.
    pub profiles: Vec<(String, String)>,
}

impl PostingConfig {
    /// What holds in a community.
    pub fn of(&self, community: Option<&str>) -> Posting {
        let own = self.profiles.iter().find(|(id, _)| Some(id.as_str()) == community);
        let mut posting = self.common.clone();
        if let Some((_, profile)) = own {
            posting.profile.clone_from(profile);
        }
        posting
    }

    /// Notes the profiles that communities have of their own.
    pub(super) fn note(&mut self, communities: &[CommunityConfig]) {
        let own = communities.iter().filter_map(|it| Some((it.id.clone(), it.posting.clone()?)));
        self.profiles = own.collect();
    }
}

/// `[[routine]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutineConfig {
    /// Its name, here and in the database.
    pub id: String,
    /// Its times.
    pub cron: String,
    /// What it says.
    pub text: String,
    /// Communities, by id; all of them where empty.
    pub communities: Vec<String>,
    /// Groups; all of a community where empty.
    pub groups: Vec<Ref>,
    /// What becomes of times that were missed: `once`, `skip` or `all`.
    pub missed: String,
    /// It does not run later in the day.
    pub not_after: Option<DayMinute>,
    /// What it posts: its hours and the budget are those of `[posting]`.
    pub kind: Option<String>,
    /// Who goes first where the budget is short.
    pub priority: i64,
}

impl Default for RoutineConfig {
    fn default() -> Self {
        Self {
            id: String::new(),
            cron: String::new(),
            text: String::new(),
            communities: Vec::new(),
            groups: Vec::new(),
            missed: "once".to_owned(),
            not_after: None,
            kind: None,
            priority: 5,
        }
    }
}

impl RoutineConfig {
    /// Whether it runs in a community; `None` is a group that is not listed.
    pub fn is_for(&self, community: Option<&str>) -> bool {
        self.communities.is_empty()
            || self.communities.iter().any(|id| Some(id.as_str()) == community)
    }

    /// The routine. `None` where its times cannot be read, which was told when it was read.
    pub fn routine(&self) -> Option<Routine> {
        let cron = Cron::parse(&self.cron).ok()?;
        let mut spec = RoutineSpec::new(self.id.clone(), Times::Cron(self.cron.clone()));
        let missed = Missed::WORDS.iter().find(|(word, _)| *word == self.missed);
        spec.missed = missed.map_or(spec.missed, |(_, missed)| *missed);
        spec.not_after = self.not_after;
        spec.kind.clone_from(&self.kind);
        spec.priority = self.priority;
        Some(Routine {
            script: ScriptName::new(ROUTINES),
            spec,
            cron,
            text: Some(self.text.as_str().into()),
            groups: self.groups.clone(),
        })
    }
}

impl Reader<'_> {
    /// `[posting]`
    pub(super) fn posting(&mut self, node: &Node<'_>) -> PostingConfig {
        let mut posting = PostingConfig::default();
        let Some(table) = self.table("/posting", node) else { return posting };
        self.keys("/posting", table, keys::POSTING, &["slot"], &mut posting.common);
        if let Some(slots) = table.get("slot") {
            posting.common.slots = self.several("/posting/slot", slots, keys::SLOT);
            self.slots_have_hours(slots, &posting.common.slots);
        }
        posting
    }

    /// Every `[[routine]]`.
    pub(super) fn routines(&mut self, node: &Node<'_>) -> Vec<RoutineConfig> {
        let found: Vec<RoutineConfig> = self.several("/routine", node, keys::ROUTINE);
        let mut seen = BTreeSet::new();
        for routine in &found {
            if !routine.id.is_empty() && !seen.insert(routine.id.clone()) {
                let problem = self
                    .error("/routine", node.span(), format!("two routines are `{}`", routine.id))
                    .help("give each routine an id of its own");
                self.note(problem);
            }
        }
        found
    }

    /// Tables in double brackets, each with the same keys.
    fn several<T: Default>(&mut self, path: &str, node: &Node<'_>, keys: &[Key<T>]) -> Vec<T> {
        let Some(items) = node.get_ref().as_array() else {
            let head = path.trim_start_matches('/').replace('/', ".");
            let problem = self
                .error(path, node.span(), "there may be several of these")
                .help(format!("write `[[{head}]]` with two brackets on each side"));
            self.note(problem);
            return Vec::new();
        };
        let mut found = Vec::new();
        for (at, node) in items.iter().enumerate() {
            let path = format!("{path}/#{}", at + 1);
            let Some(table) = self.table(&path, node) else { continue };
            let mut item = T::default();
            self.keys(&path, table, keys, &[], &mut item);
            self.has_required(&path, table, node.span(), keys);
            found.push(item);
        }
        found
    }

    fn has_required<T>(
        &mut self,
        path: &str,
        table: &DeTable<'_>,
        head: Range<usize>,
        keys: &[Key<T>],
    ) {
        for key in keys.iter().filter(|key| key.doc.required) {
            let name = key.doc.name;
            if !table.contains_key(name) {
                let problem = self
                    .error(path, head.clone(), format!("this one has no `{name}`"))
                    .help(format!("add `{name}` below it: {}", key.doc.about));
                self.note_missing(problem);
            }
        }
    }

    fn slots_have_hours(&mut self, node: &Node<'_>, slots: &[PostingSlot]) {
        for slot in slots.iter().filter(|slot| slot.from >= slot.to) {
            let problem = self
                .error(
                    "/posting/slot",
                    node.span(),
                    format!("the slot `{}` has no time", slot.name),
                )
                .help("its `from` lies before its `to`, on the same day; `to` may be \"24:00\"");
            self.note(problem);
        }
    }

    /// Communities that a routine names exist.
    pub(super) fn routines_have_places(&mut self, config: &Config, node: Option<&Node<'_>>) {
        let Some(node) = node else { return };
        let known = |id: &String| config.communities.iter().any(|community| community.id == *id);
        for routine in &config.routines {
            for id in routine.communities.iter().filter(|id| !known(id)) {
                let problem = self
                    .error("/routine", node.span(), format!("there is no community `{id}`"))
                    .help("name a `[[community]]` by its id, or leave `communities` out for all");
                self.note_missing(problem);
            }
        }
    }

    /// A time of day.
    pub(super) fn clock(&mut self, path: &str, node: &Node<'_>) -> Option<DayMinute> {
        let text = self.text(path, "a time of day as text", node)?;
        let minute = day_minute(&text);
        if minute.is_none() {
            let problem = self
                .error(path, node.span(), format!("`{text}` is no time of day"))
                .help("write hours and minutes, such as \"08:30\"; the day ends at \"24:00\"");
            self.note(problem);
        }
        minute
    }

    /// The times of a routine.
    pub(super) fn cron(&mut self, path: &str, node: &Node<'_>) -> Option<String> {
        let text = self.text(path, "times as text", node)?;
        if let Err(reason) = Cron::parse(&text) {
            let problem = self
                .error(path, node.span(), reason)
                .help("`30 8 * * 1-5` is half past eight from Monday to Friday");
            self.note(problem);
            return None;
        }
        Some(text)
    }

    /// One word of several.
    pub(super) fn one_of(
        &mut self,
        path: &str,
        words: &[&'static str],
        node: &Node<'_>,
    ) -> Option<String> {
        let text = self.text(path, "a word as text", node)?;
        if words.contains(&text.as_str()) {
            return Some(text);
        }
        let near =
            super::nearest::did_you_mean(super::nearest::nearest(&text, words.iter().copied()));
        let problem = self
            .error(path, node.span(), format!("`{text}` is none of them{near}"))
            .help(format!("write one of {}", super::read::backticked(words)));
        self.note(problem);
        None
    }

    /// A list of short names.
    pub(super) fn words(&mut self, path: &str, node: &Node<'_>) -> Option<Vec<String>> {
        let Some(items) = node.get_ref().as_array() else {
            self.wrong_type(path, "a list of names", node, None);
            return None;
        };
        let read = items.iter().map(|item| self.name(path, item)).collect::<Vec<_>>();
        read.into_iter().collect()
    }
}
