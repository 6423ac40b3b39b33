//! Playing transcripts away from the running bot, on a thread of its own, within a limit.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::id::ScriptName;
use crate::script::protocol::{ScriptError, ScriptHost, Source};
use crate::workbench::transcript::{CaseSetup, diff, parse, run_case};
use crate::workbench::workspace::{Workspace, beside, parts_on};

/// Lines of a difference that a notice shows.
const LINES: usize = 12;

/// Scripts that must prove themselves before they are put in force.
pub struct Trial {
    /// The configuration and every script as they would be.
    pub workspace: Workspace,
    /// Which of them have to.
    pub scripts: Vec<ScriptName>,
    /// Longest play of one transcript.
    pub limit: Duration,
    /// Where the scripts in force run; the trial runs on one like it, aside.
    pub host: Arc<dyn ScriptHost>,
}

impl Trial {
    /// Plays the transcript beside each script, one after the other. Gives the scripts that
    /// failed, each with the first thing that went otherwise.
    pub async fn play(self) -> Vec<(ScriptName, ScriptError)> {
        let scripts = self.scripts.clone();
        let played = tokio::task::spawn_blocking(move || self.play_here());
        played.await.unwrap_or_else(|error| {
            let what = format!("its transcript could not be played: {error}");
            let fail = |name: ScriptName| (name.clone(), at(name.as_str(), 0, what.clone()));
            scripts.into_iter().map(fail).collect()
        })
    }

    fn play_here(self) -> Vec<(ScriptName, ScriptError)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let aside = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
            let host = runtime.block_on(self.host.aside())?;
            Ok((runtime, host))
        });
        let sources = &self.workspace.sources;
        let concerned = sources.iter().filter(|source| self.scripts.contains(&source.name));
        let play = |source: &Source| match &aside {
            Ok((runtime, host)) => runtime.block_on(self.play_file(host, &beside(source))),
            Err(error) => {
                Err(at(&source.path, 0, format!("no transcript can be played: {error:#}")))
            }
        };
        concerned.filter_map(|source| Some((source.name.clone(), play(source).err()?))).collect()
    }

    async fn play_file(&self, host: &Arc<dyn ScriptHost>, file: &Path) -> Result<(), ScriptError> {
        let path = file.display().to_string();
        match tokio::time::timeout(self.limit, self.play_cases(host, file, &path)).await {
            Ok(result) => result,
            Err(_) => {
                let limit = self.limit.as_secs_f64();
                let what = format!("this transcript takes longer than {limit} s; make it shorter");
                Err(at(&path, 0, what))
            }
        }
    }

    async fn play_cases(
        &self,
        host: &Arc<dyn ScriptHost>,
        file: &Path,
        path: &str,
    ) -> Result<(), ScriptError> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| at(path, 0, format!("this transcript cannot be read: {error}")))?;
        let transcript = parse(path, &text).map_err(|faults| {
            let first = faults.first();
            at(path, first.map_or(0, |fault| fault.line), first.map_or("", |f| &f.what).to_owned())
        })?;
        let make = |setup: &CaseSetup<'_>| Ok(parts_on(&self.workspace, setup, Arc::clone(host)));
        for case in &transcript.cases {
            let result = run_case(&transcript, case, &make).await;
            if !result.is_passed() {
                let failed = result.steps.iter().position(|step| !step.matching.is_complete());
                let step = failed.and_then(|index| case.steps.get(index));
                let fault = result.fault.as_ref().map_or(case.line, |fault| fault.line);
                let line = step.map_or(fault, |step| step.line);
                let what = diff::describe(&transcript, case, &result, false);
                return Err(at(
                    path,
                    line,
                    format!("the transcript went otherwise\n{}", cut(&what)),
                ));
            }
        }
        Ok(())
    }
}

/// The first lines, for a notice.
fn cut(text: &str) -> String {
    let mut lines: Vec<&str> = text.trim_end().lines().take(LINES).collect();
    if text.trim_end().lines().count() > LINES {
        lines.push("…");
    }
    lines.join("\n")
}

fn at(path: &str, line: usize, message: String) -> ScriptError {
    ScriptError { path: path.to_owned(), line, column: 0, message, limit: None }
}
