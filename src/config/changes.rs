//! What a new configuration changes, and what of it waits for a restart.

use std::collections::{BTreeMap, BTreeSet};

use super::keys::{self, Applies, Key};
use super::{AdapterConfig, Config, ScriptConfig, ScriptTables};

/// One changed key, or a section that came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which: `/limits/commands`, `/community/readers`.
    pub path: String,
    /// What it was, as in config.toml; `None` where it was absent. Secrets are `***`.
    pub old: Option<String>,
    /// What it is now.
    pub new: Option<String>,
    /// It takes effect with the next start only.
    pub restart: bool,
}

impl Change {
    /// Which, as it stands in config.toml: `[limits] commands`, `[[community]] a [features.x] on`.
    pub fn place(&self) -> String {
        let mut parts: Vec<&str> = self.path.split('/').filter(|part| !part.is_empty()).collect();
        let community = (parts.first() == Some(&"community") && parts.len() > 1)
            .then(|| parts.drain(..2).next_back().unwrap_or_default());
        let has_key = self.old.as_deref() != Some(SECTION) && self.new.as_deref() != Some(SECTION);
        let key = if has_key { parts.pop() } else { None };
        let table = (!parts.is_empty()).then(|| format!("[{}]", parts.join(".")));
        let community = community.map(|id| format!("[[community]] {id}"));
        let words = [community, table, key.map(str::to_owned)];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// What stands for the value of a section that came or went.
const SECTION: &str = "a section";

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        write!(f, "`{}`: {} → {}", self.place(), shown(&self.old), shown(&self.new))?;
        if self.restart { f.write_str(" (takes effect after a restart)") } else { Ok(()) }
    }
}

/// Everything that differs, by section.
pub fn changes(old: &Config, new: &Config) -> Vec<Change> {
    let mut found = Vec::new();
    by_keys(&mut found, "/bot", keys::BOT, &old.bot, &new.bot);
    by_keys(&mut found, "/store", keys::STORE, &old.store, &new.store);
    adapters(&mut found, old, new);
    communities(&mut found, old, new);
    scripts(&mut found, "", &old.scripts, &new.scripts);
    by_keys(&mut found, "/news", keys::NEWS, &old.news, &new.news);
    by_keys(&mut found, "/posting", keys::POSTING, &old.posting.common, &new.posting.common);
    planned(&mut found, old, new);
    by_keys(&mut found, "/roles", keys::ROLES, &old.roles, &new.roles);
    by_keys(&mut found, "/privacy", keys::PRIVACY, &old.privacy, &new.privacy);
    by_keys(&mut found, "/limits", keys::LIMITS, &old.limits, &new.limits);
    found
}

/// What can be in force now: `new`, with everything that waits for a restart as it is in `old`.
pub fn live(old: &Config, new: &Config) -> Config {
    let mut live = new.clone();
    keep(keys::BOT, &old.bot, &mut live.bot);
    keep(keys::STORE, &old.store, &mut live.store);
    live.adapters.clone_from(&old.adapters);
    keep(keys::NEWS, &old.news, &mut live.news);
    keep(keys::PRIVACY, &old.privacy, &mut live.privacy);
    keep(keys::LIMITS, &old.limits, &mut live.limits);
    // The engines were built with these; the key of the effects can only add, not take away.
    live.limits.script.clone_from(&old.limits.script);
    live
}

fn keep<T>(keys: &[Key<T>], old: &T, live: &mut T) {
    for key in keys.iter().filter(|key| key.doc.change == Applies::Restart) {
        if let Some(value) = (key.get)(old) {
            (key.set)(live, value);
        }
    }
}

fn by_keys<T>(found: &mut Vec<Change>, path: &str, keys: &[Key<T>], old: &T, new: &T) {
    for key in keys {
        let (old, new) = ((key.get)(old), (key.get)(new));
        if old != new {
            found.push(Change {
                path: format!("{path}/{}", key.doc.name),
                old: old.map(|value| value.to_string()),
                new: new.map(|value| value.to_string()),
                restart: key.doc.change == Applies::Restart,
            });
        }
    }
}

/// Names of two maps together, in order.
fn names<'a, T>(old: &'a BTreeMap<String, T>, new: &'a BTreeMap<String, T>) -> BTreeSet<&'a str> {
    old.keys().chain(new.keys()).map(String::as_str).collect()
}

/// Adapters are built at the start, so that every change of them waits for the next.
fn adapters(found: &mut Vec<Change>, old: &Config, new: &Config) {
    for name in names(&old.adapters, &new.adapters) {
        let path = format!("/adapters/{name}");
        match (old.adapters.get(name), new.adapters.get(name)) {
            (Some(old), Some(new)) => adapter(found, &path, old, new),
            (old, new) => found.push(came_or_went(path, old.is_some(), new.is_some(), true)),
        }
    }
}

fn adapter(found: &mut Vec<Change>, path: &str, old: &AdapterConfig, new: &AdapterConfig) {
    for name in names(&old.values, &new.values) {
        let (old, new) = (old.values.get(name), new.values.get(name));
        if old != new {
            found.push(Change {
                path: format!("{path}/{name}"),
                old: old.map(toml::Value::to_string),
                new: new.map(toml::Value::to_string),
                restart: true,
            });
        }
    }
    for name in names(&old.secrets, &new.secrets) {
        let (old, new) = (old.secrets.get(name), new.secrets.get(name));
        if old != new {
            found.push(Change {
                path: format!("{path}/{name}"),
                old: old.map(|secret| format!("{secret:?}")),
                new: new.map(|secret| format!("{secret:?}")),
                restart: true,
            });
        }
    }
}

fn communities(found: &mut Vec<Change>, old: &Config, new: &Config) {
    let by_id = |config: &Config| -> BTreeMap<String, super::CommunityConfig> {
        config.communities.iter().map(|it| (it.id.clone(), it.clone())).collect()
    };
    let (old, new) = (by_id(old), by_id(new));
    for id in names(&old, &new) {
        let path = format!("/community/{id}");
        match (old.get(id), new.get(id)) {
            (Some(old), Some(new)) => {
                by_keys(found, &path, keys::COMMUNITY, old, new);
                scripts(found, &path, &old.scripts, &new.scripts);
            }
            (old, new) => found.push(came_or_went(path, old.is_some(), new.is_some(), false)),
        }
    }
}

/// Slots and routines, each as a whole.
fn planned(found: &mut Vec<Change>, old: &Config, new: &Config) {
    if old.posting.common.slots != new.posting.common.slots {
        found.push(came_or_went("/posting/slot".to_owned(), true, true, false));
    }
    let by_id = |config: &Config| -> BTreeMap<String, super::RoutineConfig> {
        config.routines.iter().map(|it| (it.id.clone(), it.clone())).collect()
    };
    let (old, new) = (by_id(old), by_id(new));
    for id in names(&old, &new) {
        match (old.get(id), new.get(id)) {
            (Some(old), Some(new)) => {
                by_keys(found, &format!("/routine/{id}"), keys::ROUTINE, old, new);
            }
            (old, new) => {
                let path = format!("/routine/{id}");
                found.push(came_or_went(path, old.is_some(), new.is_some(), false));
            }
        }
    }
}

fn came_or_went(path: String, was: bool, is: bool, restart: bool) -> Change {
    let shown = |there: bool| there.then(|| SECTION.to_owned());
    Change { path, old: shown(was), new: shown(is), restart }
}

fn scripts(found: &mut Vec<Change>, path: &str, old: &ScriptTables, new: &ScriptTables) {
    script_kind(found, &format!("{path}/features"), &old.features, &new.features);
    script_kind(found, &format!("{path}/rules"), &old.rules, &new.rules);
}

type Scripts = BTreeMap<String, ScriptConfig>;

/// Scripts by key: a section without keys says nothing, so that it may come and go unnoticed.
fn script_kind(found: &mut Vec<Change>, path: &str, old: &Scripts, new: &Scripts) {
    for name in names(old, new) {
        let (old, new) = (written(old.get(name)), written(new.get(name)));
        for key in names(&old, &new) {
            let (old, new) = (old.get(key).cloned(), new.get(key).cloned());
            if old != new {
                found.push(Change {
                    path: format!("{path}/{name}/{key}"),
                    old,
                    new,
                    restart: false,
                });
            }
        }
    }
}

fn written(script: Option<&ScriptConfig>) -> BTreeMap<String, String> {
    let Some(script) = script else { return BTreeMap::new() };
    let settings = script.settings.iter().map(|(name, it)| (name.clone(), it.value.to_string()));
    let enabled = script.enabled.map(|flag| ("enabled".to_owned(), flag.to_string()));
    let mode = script.mode.map(|mode| ("mode".to_owned(), format!("{:?}", mode.as_str())));
    settings.chain(enabled).chain(mode).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Secret, parse};

    fn read(text: &str) -> Config {
        parse(text, Path::new("config.toml"), &|_| None).unwrap_or_else(|found| panic!("{found}"))
    }

    #[test]
    fn names_each_changed_key_and_what_waits_for_a_restart() {
        let old = read(
            "[adapters.console]\n[bot]\nlocale = 'zh'\n[features.points]\n\
             [[community]]\nid = 'a'\ngroups = ['console:a']\n",
        );
        let new = read(
            "[adapters.console]\nmember = '小红'\n[bot]\nlocale = 'en'\ndata = 'kept'\n\
             [store]\nurl = 'sqlite::memory:'\n[limits]\nmailbox = 5\ncommands = 9\n\
             [features.checkin]\npoints = 6\n[roles]\nowner = ['console:阿明']\n\
             [[community]]\nid = 'a'\ngroups = ['console:a']\ntimezone = 'Asia/Tokyo'\n\
             [community.rules.no-ads]\nmode = 'shadow'\n[[community]]\nid = 'b'\n",
        );
        let lines: Vec<_> = changes(&old, &new).iter().map(Change::to_string).collect();
        insta::assert_snapshot!(lines.join("\n"));
        assert_eq!(changes(&new, &new), []);
    }

    #[test]
    fn what_waits_for_a_restart_stays_as_it_is() {
        let old = read("[adapters.console]\n[bot]\ndata = 'old'\n");
        let new = read(
            "[bot]\ndata = 'new'\nlocale = 'en'\n[limits]\nscript_operations = 5000\n\
             mailboxes = 9\ncommands = 9\n[limits.effects]\nafter = 1\n",
        );
        let left: Vec<_> = changes(&old, &live(&old, &new)).iter().map(Change::place).collect();
        assert_eq!(left, ["[bot] locale", "[limits] commands"]);
    }

    #[test]
    fn shows_no_secret() {
        let with = |secret: &str| {
            let secrets = [("token".to_owned(), Secret::new(secret.to_owned()))];
            let adapter = AdapterConfig { secrets: secrets.into(), ..AdapterConfig::default() };
            Config { adapters: [("onebot".to_owned(), adapter)].into(), ..Config::default() }
        };
        let found = changes(&with("hunter1"), &with("hunter2"));
        assert_eq!(
            found[0].to_string(),
            "`[adapters.onebot] token`: *** → *** (takes effect after a restart)"
        );
        assert!(!format!("{found:?} {:?}", with("hunter1")).contains("hunter"));
    }
}
