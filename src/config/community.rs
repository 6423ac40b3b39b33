//! `[[community]]`, and whether communities, groups and adapters fit together.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::DeTable;

use super::keys;
use super::read::{Node, Reader};
use super::reference::Seen;
use super::{CommunityConfig, Config, Diagnostic};
use crate::id::Ref;

impl Reader<'_> {
    /// Every `[[community]]`.
    pub(super) fn communities(&mut self, node: &Node<'_>) -> Vec<CommunityConfig> {
        let Some(items) = node.get_ref().as_array() else {
            let problem = self
                .error("/community", node.span(), "there may be several communities")
                .help("write `[[community]]` with two brackets on each side");
            self.note(problem);
            return Vec::new();
        };
        let mut seen = Seen::new("a group belongs to one community: keep it in one place");
        let mut ids = BTreeMap::new();
        let mut communities = Vec::new();
        for (index, node) in items.iter().enumerate() {
            let path = community_path(index, node);
            if let Some(table) = self.table(&path, node) {
                let community = self.community(&path, table, node.span());
                self.unique_id(&path, table, &mut ids);
                let label = format!("community `{}`", path.trim_start_matches("/community/"));
                self.listed_once(&format!("{path}/groups"), table.get("groups"), &label, &mut seen);
                communities.push(community);
            }
        }
        communities
    }

    fn community(
        &mut self,
        path: &str,
        table: &DeTable<'_>,
        head: Range<usize>,
    ) -> CommunityConfig {
        let mut community = CommunityConfig::default();
        self.keys(path, table, keys::COMMUNITY, &["features", "rules"], &mut community);
        if let Some(node) = table.get("features") {
            community.scripts.features = self.scripts(&format!("{path}/features"), node);
        }
        if let Some(node) = table.get("rules") {
            community.scripts.rules = self.scripts(&format!("{path}/rules"), node);
        }
        for key in keys::COMMUNITY {
            if key.doc.required && !table.contains_key(key.doc.name) {
                let name = key.doc.name;
                let problem = self
                    .error(path, head.clone(), format!("this community has no `{name}`"))
                    .help(format!("add `{name} = \"…\"` below it, a short name such as `readers`"));
                self.note_missing(problem);
            }
        }
        if !table.contains_key("groups") {
            let problem = self
                .error(path, head, "this community has no groups, so that nothing happens in it")
                .help("add `groups = [\"platform:id\"]` below it")
                .warning();
            self.note_missing(problem);
        }
        if community.name.is_empty() {
            community.name.clone_from(&community.id);
        }
        community
    }

    fn unique_id(
        &mut self,
        path: &str,
        table: &DeTable<'_>,
        ids: &mut BTreeMap<String, Range<usize>>,
    ) {
        let Some(node) = table.get("id") else { return };
        let Some(id) = node.get_ref().as_str() else { return };
        let Some(first) = ids.get(id).cloned() else {
            ids.insert(id.to_owned(), node.span());
            return;
        };
        let problem = self
            .error(
                format!("{path}/id"),
                node.span(),
                format!("another community is `{id}` already"),
            )
            .related(first, "the first one")
            .help("give each community an id of its own, or merge the two");
        self.note(problem);
    }

    /// Warns of groups that no enabled adapter serves, and of a bot without adapters.
    pub(super) fn connections(&mut self, config: &Config, root: &DeTable<'_>) {
        if config.adapters.is_empty() {
            let message = "no adapter is enabled, so that the bot hears nobody";
            let problem = match root.iter().find(|(name, _)| name.get_ref() == "adapters") {
                Some((name, _)) => self.error("/adapters", name.span(), message),
                None => Diagnostic { path: "/adapters".into(), ..Diagnostic::whole(message) },
            }
            .help("add `[adapters.console]` to talk to it in the terminal")
            .warning();
            self.note_missing(problem);
            return;
        }
        let communities = root.get("community").and_then(|node| node.get_ref().as_array());
        for node in communities.into_iter().flat_map(|items| items.iter()) {
            let groups = node.get_ref().as_table().and_then(|table| table.get("groups"));
            let items = groups.and_then(|groups| groups.get_ref().as_array());
            items.into_iter().flat_map(|it| it.iter()).for_each(|it| self.served(config, it));
        }
    }

    fn served(&mut self, config: &Config, group: &Node<'_>) {
        let Some(found) = group.get_ref().as_str().and_then(Ref::parse) else { return };
        let platform = found.platform();
        let known = self.around.adapters.iter().any(|spec| spec.name == platform);
        if known && !config.adapters.contains_key(platform) {
            let problem = self
                .error("/community", group.span(), format!("`{platform}` is not enabled"))
                .help(format!("enable `[adapters.{platform}]`, or nobody is heard in this group"))
                .warning();
            self.note_missing(problem);
        }
    }
}

/// `/community/readers`, or `/community/#2` where it has no id.
fn community_path(index: usize, node: &Node<'_>) -> String {
    let id = node.get_ref().as_table().and_then(|table| table.get("id"));
    match id.and_then(|id| id.get_ref().as_str()) {
        Some(id) => format!("/community/{id}"),
        None => format!("/community/#{}", index + 1),
    }
}
