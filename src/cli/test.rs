//! `qundao test`: plays transcripts and shows what went otherwise.

use std::io::{IsTerminal as _, Write as _};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::runtime::Runtime;

use super::connect::{self, Workspace};
use super::{Args, End, complain, runtime, say};
use crate::config::Config;
use crate::workbench::transcript::{
    CaseResult, CaseSetup, Transcript, accept, diff, parse, run_case,
};

/// Counts of a whole run.
#[derive(Default, serde::Serialize)]
struct Tally {
    passed: usize,
    failed: usize,
    /// Files that were rewritten.
    accepted: Vec<String>,
    /// One sentence or picture for each failure.
    failures: Vec<Failure>,
}

#[derive(serde::Serialize)]
struct Failure {
    path: String,
    line: usize,
    case: String,
    what: String,
}

/// Plays the files, or every transcript beside the scripts.
pub fn run(args: &Args, files: &[PathBuf], accepts: bool) -> End {
    let color = args.color.is_on() && !args.json;
    let workspace = match connect::load(&args.config, color) {
        Ok(workspace) => workspace,
        Err(problems) => {
            complain(&problems);
            return End::Problems;
        }
    };
    let files = match if files.is_empty() { every(&workspace.config) } else { Ok(files.to_vec()) } {
        Ok(files) => files,
        Err(error) => {
            complain(&format!("{error:#}"));
            return End::Problems;
        }
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("{error:#}"));
            return End::NotStarted;
        }
    };
    let begun = Instant::now();
    let tally = Tally::default();
    let mut suite = Suite { workspace, runtime, color, accepts, json: args.json, tally };
    for file in &files {
        suite.file(file);
    }
    suite.finish(begun.elapsed())
}

/// Every transcript of both folders, in order.
fn every(config: &Config) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in [&config.bot.scripts, &config.bot.rules] {
        if !folder.exists() {
            continue;
        }
        let entries =
            std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
        let mut found: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|ending| ending == "chat"))
            .collect();
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}

struct Suite {
    workspace: Workspace,
    runtime: Runtime,
    color: bool,
    accepts: bool,
    json: bool,
    tally: Tally,
}

impl Suite {
    fn file(&mut self, file: &Path) {
        let path = file.display().to_string();
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => return self.fail(&path, 0, "", format!("{path}: {error}")),
        };
        let transcript = match parse(&path, &text) {
            Ok(transcript) => transcript,
            Err(faults) => {
                for fault in faults {
                    self.fail(&path, fault.line, "", fault.to_string());
                }
                return;
            }
        };
        let results = self.cases(&transcript);
        if self.accepts {
            let fresh = accept::rewrite(&text, &transcript, &results);
            if fresh != text {
                match std::fs::write(file, fresh) {
                    Ok(()) => self.tally.accepted.push(path),
                    Err(error) => self.fail(&path, 0, "", format!("{path}: {error}")),
                }
            }
        }
    }

    fn cases(&mut self, transcript: &Transcript) -> Vec<CaseResult> {
        self.progress(&transcript.path);
        let results = self.play(transcript);
        self.progress("");
        for (case, result) in transcript.cases.iter().zip(&results) {
            // What is written down now counts as passed; what could not be played does not.
            if result.is_passed() || (self.accepts && result.fault.is_none()) {
                self.tally.passed += 1;
            } else {
                let what = diff::describe(transcript, case, result, self.color);
                self.fail(&transcript.path, case.line, &case.name, what);
            }
        }
        results
    }

    /// Plays the cases side by side, as many as there are cores: each has a bot of its own.
    fn play(&self, transcript: &Transcript) -> Vec<CaseResult> {
        let workspace = &self.workspace;
        let make = |setup: &CaseSetup<'_>| connect::parts_of_case(workspace, setup);
        let next = AtomicUsize::new(0);
        let worker = || {
            let mut played = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(case) = transcript.cases.get(index) else { return played };
                played.push((index, self.runtime.block_on(run_case(transcript, case, &make))));
            }
        };
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let mut played: Vec<(usize, CaseResult)> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..cores).map(|_| scope.spawn(worker)).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| match thread.join() {
                Ok(played) => played,
                // A case that was not played must never count as one that passed.
                Err(panic) => std::panic::resume_unwind(panic),
            };
            threads.into_iter().flat_map(join).collect()
        });
        played.sort_by_key(|(index, _)| *index);
        played.into_iter().map(|(_, result)| result).collect()
    }

    fn fail(&mut self, path: &str, line: usize, case: &str, what: String) {
        self.tally.failed += 1;
        if !self.json {
            say(&format!("✗ {path} {case}\n{}\n\n", what.trim_end()));
        }
        let (path, case) = (path.to_owned(), case.to_owned());
        self.tally.failures.push(Failure { path, line, case, what });
    }

    /// The case at hand, on a terminal only: in a log it would be noise.
    fn progress(&self, text: &str) {
        let mut stderr = std::io::stderr();
        if !self.json && stderr.is_terminal() {
            let _ = write!(stderr, "\r\x1b[2K{text}");
            let _ = stderr.flush();
        }
    }

    fn finish(self, took: Duration) -> End {
        let Tally { passed, failed, accepted, .. } = &self.tally;
        if self.json {
            say(&format!("{}\n", serde_json::json!(self.tally)));
        } else {
            for path in accepted {
                say(&format!("✎ {path}: wrote down what happened; look at the difference\n"));
            }
            let seconds = took.as_secs_f64();
            say(&format!("{passed} passed, {failed} failed in {seconds:.1} s\n"));
        }
        if *failed == 0 { End::Well } else { End::Problems }
    }
}
