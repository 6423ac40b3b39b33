//! What is wrong with a configuration and where: data, not yet a picture.
//!
//! A diagnostic never quotes a secret; [`SourceText`] knows which bytes of the file are secret, so
//! that [`super::render`] can hide them.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, but hardly as it was meant.
    Warning,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Where in the configuration: `/adapters/onebot/tokn`; empty for the file as a whole.
    pub path: String,
    /// Where in the file, bytes.
    pub span: Range<usize>,
    /// Line from 1; 0 where there is no place.
    pub line: usize,
    /// Column from 1, in characters; 0 where there is no place.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Another place that belongs to the problem, with a word about it.
    pub related: Option<(Range<usize>, String)>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(
        text: &str,
        path: impl Into<String>,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        let (line, column) = place(text, span.start);
        Self {
            severity: Severity::Error,
            path: path.into(),
            span,
            line,
            column,
            message: message.into(),
            help: None,
            related: None,
        }
    }

    /// An error of the file as a whole.
    pub fn whole(message: impl Into<String>) -> Self {
        Self { line: 0, column: 0, ..Self::error("", "", 0..0, message) }
    }

    /// With the next step.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With another place.
    pub fn related(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.related = Some((span, label.into()));
        self
    }

    /// As a warning.
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }
}

/// Line and column, both from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// The text of a configuration, as it was read, with the places of its secrets. `Debug` shows
/// nothing of it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SourceText {
    text: Arc<str>,
    masks: Arc<[Range<usize>]>,
}

impl SourceText {
    /// Wraps a text.
    pub fn new(text: &str, masks: Vec<Range<usize>>) -> Self {
        Self { text: text.into(), masks: masks.into() }
    }

    /// The text; it may hold secrets that were written where they do not belong.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Bytes that nobody may see.
    pub fn masks(&self) -> &[Range<usize>] {
        &self.masks
    }
}

impl std::fmt::Debug for SourceText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SourceText({} bytes)", self.text.len())
    }
}

/// Every problem of one file, in the order of their places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// The file.
    pub file: PathBuf,
    /// The problems.
    pub list: Vec<Diagnostic>,
    /// What was read.
    pub source: SourceText,
}

impl Diagnostics {
    /// Puts problems in order.
    pub fn new(file: PathBuf, source: SourceText, mut list: Vec<Diagnostic>) -> Self {
        list.sort_by_key(|problem| (problem.line == 0, problem.span.start, problem.severity));
        Self { file, list, source }
    }

    /// Whether any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }
}

impl std::fmt::Display for Diagnostics {
    /// One line each, for logs: ``config.toml:3:1: `/bot/tokn`: unknown key``.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}", self.file.display())?;
            if problem.line > 0 {
                write!(f, ":{}:{}", problem.line, problem.column)?;
            }
            f.write_str(": ")?;
            if !problem.path.is_empty() {
                write!(f, "`{}`: ", problem.path)?;
            }
            f.write_str(&problem.message)?;
            if let Some(help) = &problem.help {
                write!(f, "; {help}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
