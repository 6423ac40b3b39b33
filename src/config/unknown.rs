//! Names that nobody knows: what was meant, or where it belongs.

use std::ops::Range;

use super::keys::{self, LATER, SECTIONS};
use super::nearest::{did_you_mean, nearest};
use super::read::{Node, Reader, backticked};

impl Reader<'_> {
    /// A key that the section does not have; `names` are those that it has.
    pub(super) fn unknown_key(
        &mut self,
        path: &str,
        name: &str,
        span: Range<usize>,
        node: &Node<'_>,
        names: &[&str],
    ) {
        let near = nearest(name, names.iter().copied());
        let message = format!("unknown key{}", did_you_mean(near));
        let mut problem = self.error(format!("{path}/{name}"), span, message);
        if near.is_none() {
            let head = head(path);
            let known = || format!("`{head}` knows {}", backticked(names));
            problem.help = elsewhere(name).or_else(|| (names.len() < 10).then(known));
        }
        self.mask_unknown(near, name, node);
        self.note(problem);
    }

    /// What nobody knows may be a secret that a slip has put in the wrong place.
    fn mask_unknown(&mut self, near: Option<&str>, name: &str, node: &Node<'_>) {
        if node.get_ref().is_table() || (near.is_none() && elsewhere(name).is_none()) {
            self.mask_texts(node);
        }
    }

    /// A section, or a key above all sections, that nobody knows.
    pub(super) fn unknown_section(&mut self, name: &str, span: Range<usize>, node: &Node<'_>) {
        let near = match name {
            "communities" | "group" | "groups" => Some("community"),
            other => nearest(other, SECTIONS.iter().copied()),
        };
        let is_table = node.get_ref().is_table() || node.get_ref().is_array();
        self.mask_unknown(near, name, node);
        let what = if is_table { "section" } else { "key" };
        let mut problem =
            self.error(format!("/{name}"), span, format!("unknown {what}{}", did_you_mean(near)));
        if let Some((_, later)) = LATER.iter().find(|(section, _)| *section == name) {
            problem.message = format!("unknown section: {later} comes with a later version");
            problem.help = Some("remove the section for now".to_owned());
        } else if !is_table {
            problem.help = elsewhere(name);
        } else if near.is_none() {
            problem.help = Some(format!("the sections are {}", backticked(SECTIONS)));
        }
        self.note(problem);
    }
}

/// The head of a section, as it is written.
fn head(path: &str) -> String {
    if path.starts_with("/community/") {
        return "[[community]]".to_owned();
    }
    format!("[{}]", path.trim_start_matches('/').replace('/', "."))
}

/// Where a key of this name would be right.
fn elsewhere(name: &str) -> Option<String> {
    let homes: Vec<_> = keys::homes(name)
        .into_iter()
        .map(
            |home| {
                if home == "community" { "`[[community]]`".into() } else { format!("`[{home}]`") }
            },
        )
        .collect();
    (!homes.is_empty()).then(|| format!("`{name}` belongs in {}", homes.join(" or ")))
}
