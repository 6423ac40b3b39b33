//! Pictures of problems: the line, what is marked in it, the next step.
//!
//! Secrets are cut out of the text before it is drawn, so that no layout can bring them back.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, Diagnostics, Severity};

/// Draws every problem of `source`, then one line that counts them.
pub fn render(diagnostics: &Diagnostics, source: &str, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let masked = Masked::new(source, diagnostics.source.masks());
    let file = diagnostics.file.display().to_string();
    let mut out = String::new();
    for problem in &diagnostics.list {
        out += &renderer.render(&[picture(problem, &file, &masked)]);
        out += "\n\n";
    }
    out + &summary(diagnostics, &file)
}

fn picture<'a>(problem: &'a Diagnostic, file: &'a str, masked: &'a Masked) -> Group<'a> {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = if problem.path.is_empty() {
        problem.message.clone()
    } else {
        format!("`{}`: {}", problem.path, problem.message)
    };
    let mut group = if problem.line == 0 {
        level.primary_title(title).element(Origin::path(file))
    } else {
        let mut snippet = Snippet::source(masked.text.as_str())
            .path(file)
            .annotation(AnnotationKind::Primary.span(masked.span(&problem.span)));
        if let Some((span, label)) = &problem.related {
            let context = AnnotationKind::Context.span(masked.span(span)).label(label.as_str());
            snippet = snippet.annotation(context);
        }
        level.primary_title(title).element(snippet)
    };
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    group
}

fn summary(diagnostics: &Diagnostics, file: &str) -> String {
    let count = |severity| diagnostics.list.iter().filter(|it| it.severity == severity).count();
    let words = [(Severity::Error, "error"), (Severity::Warning, "warning")]
        .into_iter()
        .map(|(severity, word)| (count(severity), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}{}", if count == 1 { "" } else { "s" }))
        .collect::<Vec<_>>();
    match words.is_empty() {
        true => String::new(),
        false => format!("{file}: {}\n", words.join(", ")),
    }
}

/// A text with its secrets replaced by `***`; lines keep their numbers.
struct Masked {
    text: String,
    /// What was replaced, in order: bytes of the source, and bytes of `text`.
    moved: Vec<(Range<usize>, Range<usize>)>,
}

impl Masked {
    fn new(source: &str, masks: &[Range<usize>]) -> Self {
        let mut masked = Self { text: String::new(), moved: Vec::new() };
        let mut rest = 0;
        for mask in joined(source, masks) {
            masked.text += &source[rest..mask.start];
            let start = masked.text.len();
            masked.text += "***";
            // A secret over several lines leaves its line ends, for the numbers of later lines.
            masked.text.extend(source[mask.clone()].chars().filter(|c| *c == '\n'));
            rest = mask.end;
            masked.moved.push((mask, start..masked.text.len()));
        }
        masked.text += &source[rest..];
        masked
    }

    fn span(&self, span: &Range<usize>) -> Range<usize> {
        self.position(span.start, true)..self.position(span.end, false)
    }

    /// Where a byte of the source went; within a secret, to its start or its end.
    fn position(&self, at: usize, to_start: bool) -> usize {
        let Some((from, to)) = self.moved.iter().rfind(|(from, _)| from.start < at) else {
            return at.min(self.text.len());
        };
        let moved = if at >= from.end {
            to.end + (at - from.end)
        } else if to_start {
            to.start
        } else {
            to.end
        };
        moved.min(self.text.len())
    }
}

/// Masks in order, without overlaps, cut to whole characters of the text.
fn joined(source: &str, masks: &[Range<usize>]) -> Vec<Range<usize>> {
    let fits =
        |mask: &&Range<usize>| mask.start < mask.end && source.get(mask.start..mask.end).is_some();
    let mut sorted: Vec<_> = masks.iter().filter(fits).cloned().collect();
    sorted.sort_by_key(|mask| mask.start);
    let mut joined: Vec<Range<usize>> = Vec::new();
    for mask in sorted {
        match joined.last_mut() {
            Some(last) if mask.start <= last.end => last.end = last.end.max(mask.end),
            _ => joined.push(mask),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::Masked;

    #[test]
    fn a_masked_text_keeps_places_and_lines() {
        let source = "a = 1\ns = \"\"\"x\ny\"\"\"\nb = 2\n";
        let start = source.find("\"\"\"").unwrap();
        let end = source.rfind("\"\"\"").unwrap() + 3;
        let masked = Masked::new(source, &[start..end, start + 1..end]);
        assert_eq!(masked.text, "a = 1\ns = ***\n\nb = 2\n");
        let at = source.find("b = 2").unwrap();
        assert_eq!(&masked.text[masked.span(&(at..at + 5))], "b = 2");
        assert_eq!(&masked.text[masked.span(&(start..end))], "***\n");
        assert_eq!(&masked.text[masked.span(&(0..5))], "a = 1");
    }
}
