//! Who ended processes, and how often lately.
//!
//! A script that ended one runs apart from the others until it has kept quiet for a while; one
//! that ends several is taken out of force.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::id::ScriptName;

/// How long a kill is held against a script.
const MEMORY: Duration = Duration::from_secs(600);

/// A script in one of its versions.
pub(super) type Version = (ScriptName, String);

/// Kills by script and version.
#[derive(Default)]
pub(super) struct Strikes {
    kills: HashMap<Version, VecDeque<Instant>>,
}

impl Strikes {
    /// A version ended a process; how often it has lately.
    pub(super) fn add(&mut self, version: Version) -> usize {
        let now = Instant::now();
        self.forget(now);
        let kills = self.kills.entry(version).or_default();
        kills.push_back(now);
        kills.len()
    }

    /// Whether a version must run apart.
    pub(super) fn is_suspect(&mut self, script: &ScriptName, revision: &str) -> bool {
        if self.kills.is_empty() {
            return false;
        }
        self.forget(Instant::now());
        self.kills.contains_key(&(script.clone(), revision.to_owned()))
    }

    /// Whether nobody has ended a process lately.
    pub(super) fn is_empty(&mut self) -> bool {
        if !self.kills.is_empty() {
            self.forget(Instant::now());
        }
        self.kills.is_empty()
    }

    fn forget(&mut self, now: Instant) {
        self.kills.retain(|_, kills| {
            while kills.front().is_some_and(|at| now.duration_since(*at) > MEMORY) {
                kills.pop_front();
            }
            !kills.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_kill_is_held_against_its_version_for_ten_minutes() {
        let mut strikes = Strikes::default();
        let name = ScriptName::new("bad");
        assert_eq!(strikes.add((name.clone(), "a".to_owned())), 1);
        tokio::time::advance(Duration::from_secs(300)).await;
        assert_eq!(strikes.add((name.clone(), "a".to_owned())), 2);
        assert!(strikes.is_suspect(&name, "a") && !strikes.is_suspect(&name, "b"));
        tokio::time::advance(Duration::from_secs(301)).await;
        assert_eq!(strikes.add((name.clone(), "a".to_owned())), 2);
        tokio::time::advance(Duration::from_secs(601)).await;
        assert!(strikes.is_empty() && !strikes.is_suspect(&name, "a"));
    }
}
