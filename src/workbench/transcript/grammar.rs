//! The text of a transcript → cases, steps and expectations, each with its lines.
//!
//! Lines are kept, not only understood, so that [`super::accept`] can rewrite a file without
//! touching what it does not mean to.

use std::collections::BTreeSet;

use crate::adapter::console::{Misread, Typed, command, named, parse_span};

use super::front::FrontMatter;
use super::{Fault, expect, nearest};

/// A transcript as it was written.
#[derive(Clone, Debug)]
pub struct Transcript {
    /// Its path as the manager knows it.
    pub path: String,
    /// Its head.
    pub front: FrontMatter,
    /// Its cases in order.
    pub cases: Vec<Case>,
}

/// A chat with fresh state.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Line of its name, from 1.
    pub line: usize,
    /// What is typed, in order.
    pub steps: Vec<Step>,
}

/// One typed line with what must follow.
#[derive(Clone, Debug)]
pub struct Step {
    /// The line, from 1.
    pub line: usize,
    /// The last of its lines, where the message has several.
    pub last_line: usize,
    /// The text as it was written.
    pub text: String,
    /// What it means.
    pub typed: Typed,
    /// What is written below it.
    pub items: Vec<Item>,
}

/// An indented line below a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Something that must happen.
    Expected {
        /// Its first line, from 1.
        line: usize,
        /// Its lines as written, without indentation and the marks of continuation.
        text: String,
    },
    /// A comment among the expectations.
    Comment {
        /// Its line, from 1.
        line: usize,
    },
}

impl Step {
    /// What must happen, with its lines.
    pub fn expected(&self) -> impl Iterator<Item = (usize, &str)> {
        self.items.iter().filter_map(|item| match item {
            Item::Expected { line, text } => Some((*line, text.as_str())),
            Item::Comment { .. } => None,
        })
    }
}

/// Where the head of a text ends: its TOML with byte offset and first line, and the index of the
/// first line after it.
pub struct Head<'a> {
    /// The TOML.
    pub toml: &'a str,
    /// Where it begins, bytes.
    pub offset: usize,
    /// Its first line, from 1.
    pub first_line: usize,
    /// So many lines come before the body.
    pub lines: usize,
}

/// Finds the head.
///
/// # Errors
/// It is opened and never closed.
pub fn head<'a>(path: &str, text: &'a str) -> Result<Head<'a>, Fault> {
    let mut offset = 0;
    let mut opened: Option<(usize, usize)> = None;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let start = offset;
        offset += line.len();
        let trimmed = line.trim_end();
        match opened {
            None if trimmed == "+++" => opened = Some((index, offset)),
            None if trimmed.is_empty() || is_comment(trimmed) => {}
            None => break,
            Some((first, from)) if trimmed == "+++" => {
                let (toml, lines) = (&text[from..start], index + 1);
                return Ok(Head { toml, offset: from, first_line: first + 2, lines });
            }
            Some(_) => {}
        }
    }
    match opened {
        None => Ok(Head { toml: "", offset: 0, first_line: 1, lines: 0 }),
        Some((first, _)) => {
            Err(Fault::at(path, first + 1, "`+++` opens the head and nothing closes it; add `+++`"))
        }
    }
}

fn is_comment(line: &str) -> bool {
    line.starts_with('#') && !line.starts_with("## ")
}

/// Reads a transcript.
///
/// # Errors
/// Everything that is wrong, each with its line.
pub fn parse(path: &str, text: &str) -> Result<Transcript, Vec<Fault>> {
    let head = head(path, text).map_err(|fault| vec![fault])?;
    let front = FrontMatter::read(path, head.toml, head.offset, head.first_line)
        .map_err(|fault| vec![fault])?;
    let mut reader = Reader::new(path, text, &front);
    for (index, line) in text.lines().enumerate().skip(head.lines) {
        if let Err(what) = reader.line(index + 1, line.trim_end()) {
            reader.in_message = false;
            reader.faults.push(Fault::at(path, index + 1, what));
        }
    }
    reader.check_messages();
    let Reader { cases, mut faults, .. } = reader;
    if faults.is_empty() && cases.is_empty() {
        faults.push(Fault::at(path, 1, "there is no line to play; write `name: text`"));
    }
    faults.sort_by_key(|fault| fault.line);
    if faults.is_empty() {
        Ok(Transcript { path: path.to_owned(), front, cases })
    } else {
        Err(faults)
    }
}

struct Reader<'a> {
    path: &'a str,
    /// Names in the head and after `/join`.
    names: BTreeSet<String>,
    groups: &'a [String],
    cases: Vec<Case>,
    /// The line before was the text of a step, so `| ` continues it.
    in_message: bool,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    fn new(path: &'a str, text: &str, front: &'a FrontMatter) -> Self {
        let mut names: BTreeSet<String> =
            front.members.iter().map(|member| member.name.clone()).collect();
        for line in text.lines() {
            if let Some(Ok(Typed::Join { name, .. })) = command(line.trim_end()) {
                names.insert(name);
            }
        }
        let (cases, faults) = (Vec::new(), Vec::new());
        Self { path, names, groups: &front.groups, cases, in_message: false, faults }
    }

    fn line(&mut self, number: usize, line: &str) -> Result<(), String> {
        if line.starts_with([' ', '\t']) && !line.trim().is_empty() {
            self.in_message = false;
            return self.indented(number, line.trim());
        }
        if let Some(name) = line.strip_prefix("## ") {
            let name = name.trim().to_owned();
            self.cases.push(Case { name, line: number, steps: Vec::new() });
        } else if let Some(more) = line.strip_prefix('|') {
            return self.continued(number, more);
        } else if !line.is_empty() && !line.starts_with('#') {
            let typed = self.typed(line)?;
            self.in_message = matches!(typed, Typed::Say { .. });
            let (text, items) = (line.to_owned(), Vec::new());
            let step = Step { line: number, last_line: number, text, typed, items };
            self.case(number).steps.push(step);
            return Ok(());
        }
        self.in_message = false;
        Ok(())
    }

    /// The case that a step belongs to; a file without `##` is one case with the file's name.
    fn case(&mut self, line: usize) -> &mut Case {
        if self.cases.is_empty() {
            let file = self.path.rsplit('/').next().unwrap_or(self.path);
            let name = file.trim_end_matches(".chat").to_owned();
            self.cases.push(Case { name, line, steps: Vec::new() });
        }
        let last = self.cases.len() - 1;
        &mut self.cases[last]
    }

    fn step(&mut self) -> Option<&mut Step> {
        self.cases.last_mut()?.steps.last_mut()
    }

    fn typed(&self, line: &str) -> Result<Typed, String> {
        if let Some(typed) = command(line) {
            let typed = typed.map_err(|Misread(what)| what)?;
            return match typed {
                Typed::Join { .. } | Typed::Clock(_) => Ok(typed),
                Typed::Leave { ref name, .. } | Typed::Role { ref name, .. } => {
                    self.known(name)?;
                    Ok(typed)
                }
                _ => {
                    Err("this works only at the prompt; in a transcript write `name: text`".into())
                }
            };
        }
        if line.starts_with('+') && parse_span(&line[1..]).is_none() {
            return Err(format!("`{line}` is no length of time; write `+30m`, `+24h` or `+1d`"));
        }
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        // A colon right after an unknown name is meant as speech here: nothing else fits.
        let spaced = line.replacen(':', ": ", 1);
        let typed = named(line, &names).or_else(|| named(&spaced, &names)).ok_or_else(|| {
            "this is neither `name: text` nor `+24h`, `/join name` or `## case`; \
             what the bot must do is indented"
                .to_owned()
        })?;
        self.check(&typed)?;
        Ok(typed)
    }

    fn check(&self, typed: &Typed) -> Result<(), String> {
        use crate::adapter::console::Spot;
        let (Typed::Say { who, to, .. }
        | Typed::Press { who, to, .. }
        | Typed::React { who, to, .. }) = typed
        else {
            return Ok(());
        };
        self.known(who.as_deref().unwrap_or_default())?;
        match to {
            Spot::Group(group) if !self.groups.contains(group) => {
                Err(format!("there is no group `{group}`; add `[group.\"{group}\"]` to the head"))
            }
            Spot::Group(_) | Spot::Here | Spot::Bot => Ok(()),
        }
    }

    fn known(&self, name: &str) -> Result<(), String> {
        if self.names.contains(name) {
            return Ok(());
        }
        let near = nearest(name, self.names.iter().map(String::as_str));
        let hint =
            near.map_or_else(String::new, |near| format!("did you mean `{near}`? Otherwise "));
        Err(format!("`{name}` is nobody here; {hint}add `[member.\"{name}\"]` to the head"))
    }

    fn continued(&mut self, number: usize, more: &str) -> Result<(), String> {
        if !self.in_message {
            return Err("`|` continues a message and none stands before it".into());
        }
        let more = more.strip_prefix(' ').unwrap_or(more).to_owned();
        if let Some(step) = self.step() {
            step.last_line = number;
            step.text.push_str(&format!("\n| {more}"));
            if let Typed::Say { text, .. } = &mut step.typed {
                text.push('\n');
                text.push_str(&more);
            }
        }
        Ok(())
    }

    fn indented(&mut self, number: usize, line: &str) -> Result<(), String> {
        let names: Vec<String> = self.names.iter().cloned().collect();
        let groups = self.groups;
        let Some(step) = self.step() else {
            return Err("this says what the bot must do, and no line stands before it".into());
        };
        if line.starts_with('#') {
            step.items.push(Item::Comment { line: number });
            return Ok(());
        }
        if let Some(more) = line.strip_prefix('|') {
            let Some(Item::Expected { text, .. }) = step.items.last_mut() else {
                return Err("`|` continues what the bot says and nothing stands before it; \
                            to continue a message begin the line with `|`"
                    .into());
            };
            text.push('\n');
            text.push_str(more.strip_prefix(' ').unwrap_or(more));
            return Ok(());
        }
        expect::check(line, &names, groups)?;
        step.items.push(Item::Expected { line: number, text: line.to_owned() });
        Ok(())
    }

    /// A message without words cannot be sent.
    fn check_messages(&mut self) {
        for step in self.cases.iter().flat_map(|case| &case.steps) {
            if matches!(&step.typed, Typed::Say { text, .. } if text.trim().is_empty()) {
                let what = "the message is empty; write something after the colon";
                self.faults.push(Fault::at(self.path, step.line, what));
            }
        }
    }
}
