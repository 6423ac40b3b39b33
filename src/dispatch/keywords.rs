//! The words of every `on_keyword` of every script in one automaton: a message is read once,
//! however many rules wait for a word.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use crate::script::protocol::{Manifest, Trigger};

/// The number of one `on_keyword` among all.
pub(super) type Slot = usize;

/// All words, and whose they are.
#[derive(Debug, Default)]
pub(super) struct Keywords {
    automaton: Option<AhoCorasick>,
    /// Slots of each pattern.
    owners: Vec<Vec<Slot>>,
    slots: usize,
}

impl Keywords {
    /// Takes in the words of these scripts; slots are given in the order of scripts and handlers.
    pub(super) fn new<'a>(manifests: impl Iterator<Item = &'a Manifest>) -> Self {
        let (mut patterns, mut owners, mut slots) = (Vec::new(), Vec::<Vec<Slot>>::new(), 0);
        let mut known: HashMap<String, usize> = HashMap::new();
        for handler in manifests.flat_map(|manifest| &manifest.handlers) {
            let Trigger::Keyword(words) = &handler.trigger else { continue };
            for word in words {
                let word = word.to_ascii_lowercase();
                let index = *known.entry(word.clone()).or_insert_with(|| {
                    patterns.push(word);
                    owners.push(Vec::new());
                    owners.len() - 1
                });
                owners[index].push(slots);
            }
            slots += 1;
        }
        // A table of all transitions is faster, but has tens of megabytes where words are many.
        let automaton = (!patterns.is_empty()).then(|| {
            AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .build(&patterns)
        });
        match automaton {
            Some(Ok(automaton)) => Self { automaton: Some(automaton), owners, slots },
            Some(Err(error)) => {
                // Gigabytes of words; scripts have a limit of length.
                tracing::error!(%error, "keywords cannot be looked for");
                Self::default()
            }
            None => Self { slots, ..Self::default() },
        }
    }

    /// Which slots have a word that occurs in a text, by slot.
    pub(super) fn find(&self, text: &str) -> Vec<bool> {
        let mut found = vec![false; self.slots];
        let mut left = self.slots;
        let Some(automaton) = &self.automaton else { return found };
        for hit in automaton.find_overlapping_iter(text) {
            for slot in self.owners.get(hit.pattern().as_usize()).into_iter().flatten() {
                if !std::mem::replace(&mut found[*slot], true) {
                    left -= 1;
                }
            }
            if left == 0 {
                break;
            }
        }
        found
    }
}
