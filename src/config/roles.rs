//! `[roles]`, and references that may be listed only once.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::DeTable;

use super::keys;
use super::read::{Node, Reader};
use crate::id::Ref;
use crate::value::Role;

/// References seen so far with the place and the name of the list that they stood in.
pub(super) type Seen = BTreeMap<Ref, (Range<usize>, String)>;

impl Reader<'_> {
    /// `[roles]`: a person has one role.
    pub(super) fn roles(&mut self, node: &Node<'_>) -> BTreeMap<Ref, Role> {
        let mut roles = BTreeMap::new();
        self.section("roles", node, keys::ROLES, &mut roles);
        if let Some(table) = node.get_ref().as_table() {
            let mut seen = Seen::new();
            for key in keys::ROLES {
                let path = format!("/roles/{}", key.doc.name);
                self.listed_once(&path, table, key.doc.name, key.doc.name, &mut seen);
            }
        }
        roles
    }

    /// Notes references of `table[key]` that an earlier list had already; `label` names this list.
    pub(super) fn listed_once(
        &mut self,
        path: &str,
        table: &DeTable<'_>,
        key: &str,
        label: &str,
        seen: &mut Seen,
    ) {
        let items = table.get(key).and_then(|node| node.get_ref().as_array());
        for item in items.into_iter().flat_map(|items| items.iter()) {
            let Some(found) = item.get_ref().as_str().and_then(Ref::parse) else { continue };
            let Some((first, other)) = seen.get(&found).cloned() else {
                seen.insert(found, (item.span(), label.to_owned()));
                continue;
            };
            let message = if other == label {
                format!("`{found}` is listed twice in `{label}`")
            } else {
                format!("`{found}` belongs to `{other}` already, and to one only")
            };
            let problem = self
                .error(path, item.span(), message)
                .related(first, "listed here first")
                .help("keep it in one place");
            self.note(problem);
        }
    }
}
