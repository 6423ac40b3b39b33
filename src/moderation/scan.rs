//! One message held against word lists: its views are made once, and each list is looked through
//! once, however many rules ask.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::WordLists;
use super::views::Views;
use crate::event::{Element, plain_text};

/// Words of a list that occur in a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The list.
    pub list: Arc<str>,
    /// Its words, in the order of the list; at least one.
    pub words: Vec<String>,
}

/// A message on its way past the lists.
pub struct Scan<'a> {
    elements: &'a [Element],
    lists: &'a WordLists,
    views: Option<Views>,
    /// What has been looked up; no words where none occur.
    looked_up: Vec<Found>,
}

impl<'a> Scan<'a> {
    /// Looks at nothing yet.
    pub fn new(elements: &'a [Element], lists: &'a WordLists) -> Self {
        Self { elements, lists, views: None, looked_up: Vec::new() }
    }

    /// Whether words of a list occur.
    pub fn has(&mut self, list: &Arc<str>) -> bool {
        if let Some(known) = self.looked_up.iter().find(|known| known.list == *list) {
            return !known.words.is_empty();
        }
        let views = self.views.get_or_insert_with(|| Views::of(&text(self.elements)));
        let words = self.lists.hits_in(list, views);
        let has = !words.is_empty();
        self.looked_up.push(Found { list: list.clone(), words });
        has
    }

    /// Everything that was found.
    pub fn found(self) -> Vec<Found> {
        let mut found = self.looked_up;
        found.retain(|list| !list.words.is_empty());
        found
    }
}

/// The text that scripts see, without a copy where it is in one piece.
fn text(elements: &[Element]) -> Cow<'_, str> {
    match elements {
        [Element::Text(text)] => Cow::Borrowed(text),
        _ => Cow::Owned(plain_text(elements)),
    }
}
