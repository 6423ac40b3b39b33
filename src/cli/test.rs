//! `qundao test`: plays transcripts and shows what went otherwise.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

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
    let mut suite = Suite { workspace, color, accepts, json: args.json, tally: Tally::default() };
    for file in &files {
        runtime.block_on(suite.file(file));
    }
    suite.finish()
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
    color: bool,
    accepts: bool,
    json: bool,
    tally: Tally,
}

impl Suite {
    async fn file(&mut self, file: &Path) {
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
        let results = self.cases(&transcript).await;
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

    async fn cases(&mut self, transcript: &Transcript) -> Vec<CaseResult> {
        let mut results = Vec::new();
        for case in &transcript.cases {
            self.progress(&format!("{} · {}", transcript.path, case.name));
            let workspace = &self.workspace;
            let make = |setup: &CaseSetup<'_>| connect::parts_of_case(workspace, setup);
            let result = run_case(transcript, case, &make).await;
            self.progress("");
            // What is written down now counts as passed; what could not be played does not.
            if result.is_passed() || (self.accepts && result.fault.is_none()) {
                self.tally.passed += 1;
            } else {
                let what = diff::describe(transcript, case, &result, self.color);
                self.fail(&transcript.path, case.line, &case.name, what);
            }
            results.push(result);
        }
        results
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

    fn finish(self) -> End {
        let Tally { passed, failed, accepted, .. } = &self.tally;
        if self.json {
            say(&format!("{}\n", serde_json::json!(self.tally)));
        } else {
            for path in accepted {
                say(&format!("✎ {path}: wrote down what happened; look at the difference\n"));
            }
            say(&format!("{passed} passed, {failed} failed\n"));
        }
        if *failed == 0 { End::Well } else { End::Problems }
    }
}
