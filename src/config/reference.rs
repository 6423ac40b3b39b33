//! References, `platform:id`, and lists in which each may stand once.

use std::collections::BTreeMap;
use std::ops::Range;

use super::keys::Kind;
use super::nearest::{did_you_mean, nearest};
use super::read::{Node, Reader, backticked, type_word, whole};
use crate::id::Ref;

/// References seen so far, each with its place and the name of its list.
pub(super) struct Seen {
    places: BTreeMap<Ref, (Range<usize>, String)>,
    /// What to do about one that comes again.
    help: &'static str,
}

impl Seen {
    pub(super) fn new(help: &'static str) -> Self {
        Self { places: BTreeMap::new(), help }
    }
}

impl Reader<'_> {
    /// A list of references; those that are wrong are left out.
    pub(super) fn refs(&mut self, path: &str, node: &Node<'_>) -> Option<Vec<Ref>> {
        let Some(items) = node.get_ref().as_array() else {
            let help = node.get_ref().as_str().map(|text| format!("write `[{text:?}]`"));
            self.wrong_type(path, Kind::Refs.wants(), node, help);
            return None;
        };
        Some(items.iter().filter_map(|item| self.reference(path, item)).collect())
    }

    fn reference(&mut self, path: &str, node: &Node<'_>) -> Option<Ref> {
        let platforms: Vec<&str> = self.around.adapters.iter().map(|spec| spec.name).collect();
        let example = platforms.first().copied().unwrap_or("console");
        let Some(text) = node.get_ref().as_str() else {
            let mut problem = self.error(
                path,
                node.span(),
                format!("a reference is text, got {}", type_word(node.get_ref())),
            );
            problem.help = Some(match whole(node.get_ref()) {
                Some(number) => format!("put the platform before it: `\"{example}:{number}\"`"),
                None => format!("write `\"platform:id\"`, as in `\"{example}:群岛\"`"),
            });
            self.note(problem);
            return None;
        };
        let problem = match Ref::parse(text) {
            Some(found) if platforms.contains(&found.platform()) => return Some(found),
            Some(found) => {
                let near = did_you_mean(nearest(found.platform(), platforms.iter().copied()));
                self.error(
                    path,
                    node.span(),
                    format!("unknown platform `{}`{near}", found.platform()),
                )
                .help(format!("this version has {}", backticked(&platforms)))
            }
            None => {
                let help = match text.trim_matches(':') {
                    "" => format!("write `\"platform:id\"`, as in `\"{example}:群岛\"`"),
                    platform if platforms.contains(&platform) => {
                        format!("put the id behind it: `\"{platform}:…\"`")
                    }
                    id => format!("put the platform before it: `\"{example}:{id}\"`"),
                };
                let message = format!("`{text}` is not a reference, which is `platform:id`");
                self.error(path, node.span(), message).help(help)
            }
        };
        self.note(problem);
        None
    }

    /// Notes references of a list that an earlier list had already; `label` names this list.
    pub(super) fn listed_once(
        &mut self,
        path: &str,
        list: Option<&Node<'_>>,
        label: &str,
        seen: &mut Seen,
    ) {
        let items = list.and_then(|node| node.get_ref().as_array());
        for item in items.into_iter().flat_map(|items| items.iter()) {
            let Some(found) = item.get_ref().as_str().and_then(Ref::parse) else { continue };
            let Some((first, other)) = seen.places.get(&found).cloned() else {
                seen.places.insert(found, (item.span(), label.to_owned()));
                continue;
            };
            let message = if other == label {
                format!("`{found}` is listed twice")
            } else {
                format!("`{found}` belongs to {other} already")
            };
            let problem = self
                .error(path, item.span(), message)
                .related(first, "listed here first")
                .help(seen.help);
            self.note(problem);
        }
    }
}
