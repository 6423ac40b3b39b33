//! Rows of people, sorted as their tables are, and as JSON for the statements of these.

use std::collections::BTreeMap;

use crate::id::{CommunityId, PersonId, Ref};
use crate::store::MemberRow;
use crate::store::parts::{json, member_cells};

pub(super) type Key = (CommunityId, PersonId);

/// Rows of both tables, in the order of their keys.
#[derive(Clone, Debug, Default)]
pub(super) struct People {
    pub(super) accounts: BTreeMap<Ref, PersonId>,
    /// Cells of each as JSON, ready for the statement.
    pub(super) members: BTreeMap<Key, Box<str>>,
}

impl People {
    pub(super) fn len(&self) -> usize {
        self.accounts.len() + self.members.len()
    }

    pub(super) fn add(&mut self, others: Self) {
        for (account, person) in others.accounts {
            // The first is right, as in the table.
            self.accounts.entry(account).or_insert(person);
        }
        self.members.extend(others.members);
    }

    pub(super) fn of(&self, community: CommunityId) -> impl Iterator<Item = (&Key, &str)> {
        let ends = [i64::MIN, i64::MAX].map(|person| (community, PersonId(person)));
        self.members.range(ends[0]..=ends[1]).map(|(key, cells)| (key, &**cells))
    }

    /// As the statements for their tables want them.
    pub(super) fn json(&self) -> Texts {
        let members: Vec<&str> = self.members.values().map(|cells| &**cells).collect();
        let members = format!("[{}]", members.join(","));
        Texts { accounts: json(self.accounts.iter()), members }
    }
}

/// Rows for the statements of both tables.
pub(in super::super) struct Texts {
    pub(in super::super) accounts: String,
    pub(in super::super) members: String,
}

impl Texts {
    /// Both as one line of the table `late`.
    pub(super) fn line(&self, number: i64) -> String {
        format!(r#"{number} {{"accounts":{},"members":{}}}"#, self.accounts, self.members)
    }
}

/// A member as an element of the list for her statement.
pub(super) fn cells(row: &MemberRow) -> Box<str> {
    // Our own types always have a JSON form.
    serde_json::to_string(&member_cells(row)).unwrap_or_default().into()
}
