//! Problems as a person sees them: the source line, a mark under the place, the sentence.

use std::fmt::{self, Display, Write as _};

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::protocol::ScriptError;

/// Longest message of an error, bytes: it goes into logs, into the console and into the database,
/// and a script can throw anything.
const MESSAGE_MAX: usize = 1000;

/// Renders a problem like rustc does. Columns count characters, so Chinese text before the place
/// does not move the mark.
pub fn render(source: &str, error: &ScriptError, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    let title = match &error.limit {
        Some(limit) => format!("{} (limit `{limit}`)", error.message),
        None => error.message.clone(),
    };
    let title = Level::ERROR.primary_title(title.as_str());
    let Some(span) = span(source, error) else {
        let report = [title.element(Level::NOTE.message(format!("in {}", error.path)))];
        return renderer.render(&report);
    };
    let snippet = Snippet::source(source)
        .line_start(1)
        .path(error.path.as_str())
        .annotation(AnnotationKind::Primary.span(span));
    renderer.render(&[title.element(snippet)])
}

/// Byte range of the word at the place; `None` where the place is not in the source.
fn span(source: &str, error: &ScriptError) -> Option<std::ops::Range<usize>> {
    let index = error.line.checked_sub(1)?;
    let start: usize = source.split_inclusive('\n').take(index).map(str::len).sum();
    let line = source.split_inclusive('\n').nth(index)?.trim_end_matches(['\n', '\r']);
    let skipped = error.column.saturating_sub(1);
    let offset = line.char_indices().nth(skipped).map_or(line.len(), |(offset, _)| offset);
    let rest = line.get(offset..).unwrap_or_default();
    let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let first = rest.chars().next().map_or(0, char::len_utf8);
    Some(start + offset..start + offset + word.max(first))
}

/// The beginning of what something is shown as; the rest is not even made.
pub(super) fn shortened(shown: &dyn Display) -> String {
    let mut short = Short(String::new());
    if write!(short, "{shown}").is_err() {
        short.0.push('…');
    }
    short.0
}

/// A text that takes [`MESSAGE_MAX`] bytes and then no more.
struct Short(String);

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MESSAGE_MAX.saturating_sub(self.0.len());
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        self.0.push_str(text.get(..text.floor_char_boundary(room)).unwrap_or_default());
        Err(fmt::Error)
    }
}
