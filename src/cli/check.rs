//! `qundao check`: every problem of configuration and scripts, at once.

use std::path::PathBuf;

use super::{Args, End, complain, connect, say};
use crate::script::protocol::{ScriptError, Source};

/// What was found, for people and programs.
#[derive(Default, serde::Serialize)]
struct Found {
    /// Scripts that compile.
    scripts: usize,
    /// Pictures and sentences.
    problems: Vec<String>,
    /// Mistakes in scripts with their places.
    script_errors: Vec<ScriptError>,
    /// Worth a word, not an error.
    notes: Vec<String>,
}

/// Checks and shows.
pub fn run(args: &Args) -> End {
    let color = args.color.is_on() && !args.json;
    let (found, pictures) = look(args, color);
    let count = found.problems.len() + found.script_errors.len();
    if args.json {
        say(&format!("{}\n", serde_json::json!(found)));
    } else {
        for problem in &found.problems {
            complain(problem);
        }
        if !pictures.is_empty() {
            complain(&pictures);
        }
        for note in &found.notes {
            say(&format!("⚠ {note}\n"));
        }
        let mark = if count == 0 { "✓" } else { "✗" };
        let good = found.scripts;
        say(&format!(
            "{mark} {}: {good} scripts compile, {count} problems\n",
            args.config.display()
        ));
    }
    if count == 0 { End::Well } else { End::Problems }
}

fn look(args: &Args, color: bool) -> (Found, String) {
    let mut found = Found::default();
    let workspace = match connect::load(&args.config, color) {
        Ok(workspace) => workspace,
        Err(problems) => {
            found.problems.push(problems);
            return (found, String::new());
        }
    };
    let (config, sources) = (&workspace.config, &workspace.sources);
    found.problems.extend(workspace.problems.iter().cloned());
    match connect::compile(config, sources) {
        Ok((manifests, errors)) => {
            found.scripts = manifests.len();
            found.problems.extend(connect::check_settings(config, &manifests, color));
            found.script_errors = errors;
        }
        Err(error) => found.problems.push(format!("{error:#}")),
    }
    found.notes = sources.iter().filter_map(untested).collect();
    let pictures = connect::picture(&found.script_errors, sources, color);
    (found, pictures)
}

/// A word about a script that no transcript stands beside.
fn untested(source: &Source) -> Option<String> {
    let transcript = PathBuf::from(&source.path).with_extension("chat");
    let missing = !transcript.exists();
    missing
        .then(|| format!("{}: no transcript tests it; write {}", source.path, transcript.display()))
}
