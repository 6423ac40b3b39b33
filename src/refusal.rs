//! What the domain says instead of doing: a refusal, with a code and data.
//!
//! A script can catch it; uncaught it undoes its handler and answers with one localised line
//! (`refuse.CODE` in the catalogue). It is never an error and never a panic.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::value::{Value, ValueMap};

/// A "no" that a member may read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which refusal: the end of its key in the catalogue.
    pub code: String,
    /// What the sentence needs.
    pub data: ValueMap,
}

impl Refusal {
    /// A refusal without data.
    pub fn new(code: &str) -> Self {
        Self { code: code.to_owned(), data: ValueMap::new() }
    }

    /// Adds a value for the sentence.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.data.insert(name.to_owned(), value.into());
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)
    }
}
