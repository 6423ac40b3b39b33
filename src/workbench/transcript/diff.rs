//! The difference between what was written and what happened, for people.

use super::grammar::{Case, Step, Transcript};
use super::run::{CaseResult, StepResult};
use super::show::indent;

/// Describes what went otherwise; empty for a case that passed.
pub fn describe(transcript: &Transcript, case: &Case, result: &CaseResult, color: bool) -> String {
    let paint = Paint { color };
    let mut out = String::new();
    for (step, played) in case.steps.iter().zip(&result.steps) {
        if !played.matching.is_complete() {
            out.push_str(&paint.bold(&format!("{}:{}", transcript.path, step.line)));
            out.push('\n');
            out.push_str(&describe_step(step, played, paint));
        }
    }
    if let Some(fault) = &result.fault {
        out.push_str(&paint.bold(&format!("{}:{}", fault.path, fault.line)));
        out.push_str(&format!("\n  {}\n", paint.red(&fault.what)));
    }
    out
}

fn describe_step(step: &Step, played: &StepResult, paint: Paint) -> String {
    let mut out = String::new();
    for line in step.text.lines() {
        out.push_str(&format!("        {line}\n"));
    }
    for ((line, text), partner) in step.expected().zip(&played.matching.partner) {
        let (mark, number) =
            if partner.is_some() { (' ', String::new()) } else { ('-', line.to_string()) };
        let shown = marked(mark, &number, text);
        out.push_str(&if partner.is_some() { shown } else { paint.red(&shown) });
        out.push('\n');
    }
    for index in &played.matching.surplus {
        let text = played.happened.get(*index).map_or("", |shown| shown.text.as_str());
        out.push_str(&paint.green(&marked('+', "", text)));
        out.push('\n');
    }
    if let Some(hint) = hint(step, played) {
        out.push_str(&format!("        {hint}\n"));
    }
    out
}

/// The lines of one effect with a mark and its line number before them.
fn marked(mark: char, number: &str, text: &str) -> String {
    let lines = indent(text);
    let lines = lines.lines().enumerate().map(|(index, line)| {
        let number = if index == 0 { number } else { "" };
        format!("{number:>5} {mark} {line}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// One sentence where the lines alone do not say what is wrong.
fn hint(step: &Step, played: &StepResult) -> Option<&'static str> {
    let missing: Vec<&str> = step
        .expected()
        .zip(&played.matching.partner)
        .filter(|(_, partner)| partner.is_none())
        .map(|((_, text), _)| text)
        .collect();
    let is_swapped = !missing.is_empty()
        && missing.iter().all(|text| {
            played.matching.surplus.iter().any(|index| {
                played
                    .happened
                    .get(*index)
                    .is_some_and(|shown| super::expect::fits(text, &shown.text))
            })
        });
    is_swapped.then_some("# the same lines, in another order")
}

#[derive(Clone, Copy)]
struct Paint {
    color: bool,
}

impl Paint {
    fn wrap(self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    fn red(self, text: &str) -> String {
        self.wrap("31", text)
    }

    fn green(self, text: &str) -> String {
        self.wrap("32", text)
    }
}
