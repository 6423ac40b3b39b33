//! Writes down what happened: the file with new expectations, everything else to the letter.

use super::grammar::{Item, Step, Transcript};
use super::run::{CaseResult, StepResult};
use super::show::indent;

/// The text with what happened below every step that went otherwise. Comments, blank lines, the
/// head and lines that still fit (with their `[…]`) stay. Cases with a fault stay as they are.
pub fn rewrite(text: &str, transcript: &Transcript, results: &[CaseResult]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let played = transcript.cases.iter().zip(results).filter(|(_, result)| result.fault.is_none());
    let mut changes: Vec<(&Step, &StepResult)> = played
        .flat_map(|(case, result)| case.steps.iter().zip(&result.steps))
        .filter(|(_, played)| !played.matching.is_complete())
        .collect();
    // From the end, so that the numbers of earlier lines stay true.
    changes.sort_by_key(|(step, _)| std::cmp::Reverse(step.line));
    for (step, played) in changes {
        let end = step.items.last().map_or(step.last_line, last_line);
        let block = block(&lines, step, played, end);
        lines.splice(step.last_line..end, block);
    }
    let mut out = lines.join("\n");
    if text.ends_with('\n') {
        out.push('\n');
    }
    out
}

/// Last line of an item, from 1.
fn last_line(item: &Item) -> usize {
    match item {
        Item::Expected { line, text } => line + text.matches('\n').count(),
        Item::Comment { line } => *line,
    }
}

fn block(lines: &[String], step: &Step, played: &StepResult, end: usize) -> Vec<String> {
    let written = |from: usize, to: usize| lines.get(from..to).unwrap_or_default().to_vec();
    // Each expected line with what stands between it and the one before: comments, blank lines.
    let mut kept = Vec::new();
    let mut from = step.last_line;
    for item in &step.items {
        if let Item::Expected { line, .. } = item {
            kept.push((written(from, line - 1), written(line - 1, last_line(item))));
            from = last_line(item);
        }
    }
    let rest = written(from, end);
    let mut out = Vec::new();
    for (index, shown) in played.happened.iter().enumerate() {
        let partner = played.matching.partner.iter().position(|taken| *taken == Some(index));
        match partner.and_then(|expected| kept.get_mut(expected)) {
            Some((before, own)) => {
                out.append(before);
                out.append(own);
            }
            None if played.matching.surplus.contains(&index) => {
                out.extend(indent(&shown.text).lines().map(str::to_owned));
            }
            None => {}
        }
    }
    out.extend(kept.into_iter().flat_map(|(before, _)| before));
    out.extend(rest);
    out
}
