//! Transcripts: a test is a chat, written down with what the bot must do.
//!
//! [`grammar`] reads a file, [`session`] plays lines against a fresh bot, [`run`] compares what
//! happened with what was [`expect`]ed, [`diff`] shows the difference and [`accept`] writes it
//! down. [`pipe`] plays lines from a pipe with the same session.

pub mod accept;
pub mod diff;
pub mod expect;
pub mod front;
pub mod grammar;
pub mod matching;
pub mod pipe;
pub mod run;
pub mod session;
pub mod show;

pub use front::{FrontMatter, Home};
pub use grammar::{Case, Item, Step, Transcript, parse};
pub use run::{CaseResult, StepResult, run_case};
pub use session::{CaseSetup, Make, Session};

/// A line of a transcript that cannot be read or played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}: {what}")]
pub struct Fault {
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub what: String,
}

impl Fault {
    /// A fault at a line.
    pub fn at(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

/// Likeness from which a word may have been meant; two signs of which one is right have 0.7.
const LIKE: f64 = 0.65;

/// The nearest of some words, if one is near.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::jaro_winkler(candidate, word), candidate))
        .filter(|(likeness, _)| *likeness > LIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
