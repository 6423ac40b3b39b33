//! `[roles]`: a person has one role.

use std::collections::BTreeMap;

use super::keys;
use super::read::{Node, Reader};
use super::reference::Seen;
use crate::id::Ref;
use crate::value::Role;

impl Reader<'_> {
    /// `[roles]`
    pub(super) fn roles(&mut self, node: &Node<'_>) -> BTreeMap<Ref, Role> {
        let mut roles = BTreeMap::new();
        self.section("roles", node, keys::ROLES, &mut roles);
        if let Some(table) = node.get_ref().as_table() {
            let mut seen = Seen::new("a person has one role: keep the higher");
            for key in keys::ROLES {
                let name = key.doc.name;
                let label = format!("role `{name}`");
                self.listed_once(&format!("/roles/{name}"), table.get(name), &label, &mut seen);
            }
        }
        roles
    }
}
