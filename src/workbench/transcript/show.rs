//! What a turn did, as a line of a transcript.
//!
//! The same words are expected in files, printed to a pipe and written by `--accept`; so this is
//! the one place that chooses them.

use crate::adapter::console::{plain, plain_line, show_span};
use crate::id::Ref;
use crate::report::Line;

/// A line with the place that it was sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Lines with the same place keep their order; `None` has none.
    pub place: Option<String>,
    /// The words; several lines are joined with line breaks and written with `| `.
    pub text: String,
}

/// Writes a line; `here` is the group of the step.
pub fn show(line: &Line, here: &Ref) -> Shown {
    let place = place(line);
    let text = words(line, here);
    let trimmed: Vec<&str> = text.split('\n').map(str::trim_end).collect();
    Shown { place, text: trimmed.join("\n") }
}

/// Writes what is shown below its step: indented, continued with `| `.
pub fn indent(text: &str) -> String {
    let mut lines = text.split('\n');
    let mut out = format!("    {}", lines.next().unwrap_or_default());
    for line in lines {
        out.push_str("\n    ");
        out.push_str(format!("| {line}").trim_end());
    }
    out
}

fn place(line: &Line) -> Option<String> {
    match line {
        Line::Said { group, .. } | Line::Card { group, .. } => Some(group.as_str().to_owned()),
        Line::Wrote { member, .. } => Some(format!("dm {member}")),
        Line::Points { .. }
        | Line::Scored { .. }
        | Line::Refused { .. }
        | Line::Deleted { .. }
        | Line::Reacted { .. }
        | Line::Pinned
        | Line::Warned { .. }
        | Line::Muted { .. }
        | Line::Unmuted { .. }
        | Line::Kicked { .. }
        | Line::Banned { .. }
        | Line::AdminSet { .. }
        | Line::Renamed { .. }
        | Line::Admitted { .. }
        | Line::Tagged { .. }
        | Line::Untagged { .. }
        | Line::Skipped { .. }
        | Line::Shadow { .. }
        | Line::Failed { .. } => None,
    }
}

fn words(line: &Line, here: &Ref) -> String {
    let at = |group: &Ref| {
        if group == here { String::new() } else { format!("[{}] ", plain_line(group.local())) }
    };
    let one = |parts: &[&str]| {
        let parts: Vec<String> = parts.iter().map(|part| plain_line(part)).collect();
        parts.join(" ").trim_end().to_owned()
    };
    match line {
        Line::Said { group, text, only_for, .. } => {
            let only = only_for.as_ref().map(|name| format!("(只给{}) ", plain_line(name)));
            format!("{}> {}{}", at(group), only.unwrap_or_default(), plain(text))
        }
        Line::Wrote { member, text } => format!("dm {} {}", plain_line(member), plain(text)),
        Line::Card { group, text, .. } => format!("{}card {}", at(group), plain(text)),
        Line::Points { member, delta, .. } => format!("points {} {delta:+}", plain_line(member)),
        Line::Scored { member, points } => format!("score {} {points:+}", plain_line(member)),
        Line::Refused { code } => one(&["refuse", code]),
        Line::Deleted { reason } => one(&["delete", reason]),
        Line::Reacted { emoji } => one(&["react", emoji]),
        Line::Pinned => "pin".to_owned(),
        Line::Warned { member, reason } => one(&["warn", member, reason]),
        Line::Muted { member, duration_ms, reason } => {
            one(&["mute", member, &show_span(*duration_ms), reason])
        }
        Line::Unmuted { member } => one(&["unmute", member]),
        Line::Kicked { member, reason } => one(&["kick", member, reason]),
        Line::Banned { member, reason } => one(&["ban", member, reason]),
        Line::AdminSet { member, on } => one(&["admin", member, if *on { "on" } else { "off" }]),
        Line::Renamed { member, name } => one(&["rename", member, name]),
        Line::Admitted { member, yes: true, .. } => one(&["approve", member]),
        Line::Admitted { member, yes: false, reason } => one(&["deny", member, reason]),
        Line::Tagged { member, tag } => one(&["tag", member, tag]),
        Line::Untagged { member, tag } => one(&["untag", member, tag]),
        Line::Skipped { effect, reason } => one(&["skip", effect, reason]),
        Line::Shadow { script, line } => {
            format!("shadow {}: {}", script.as_str(), words(line, here))
        }
        Line::Failed { error } => {
            let place = format!("{}:{}:{}", error.path, error.line, error.column);
            one(&["error", &place, &error.message])
        }
    }
}
