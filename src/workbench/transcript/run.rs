//! Plays a case and compares.

use std::path::PathBuf;

use super::Fault;
use super::front::Home;
use super::grammar::{Case, Transcript};
use super::matching::{Matching, pair};
use super::session::{Make, Session};
use super::show::{Shown, show};

/// What came of a case.
#[derive(Clone, Debug)]
pub struct CaseResult {
    /// One for each step that was played.
    pub steps: Vec<StepResult>,
    /// Why the case could not be played to its end.
    pub fault: Option<Fault>,
}

/// What came of a step.
#[derive(Clone, Debug)]
pub struct StepResult {
    /// Everything that happened.
    pub happened: Vec<Shown>,
    /// Which of it was expected.
    pub matching: Matching,
}

impl CaseResult {
    /// Whether it went as written.
    pub fn is_passed(&self) -> bool {
        self.fault.is_none() && self.steps.iter().all(|step| step.matching.is_complete())
    }
}

/// The folder that a transcript stands in.
pub fn home_of(path: &str) -> Home {
    let folder = std::path::Path::new(path).parent().and_then(|folder| folder.file_name());
    if folder.is_some_and(|name| name == "rules") { Home::Rules } else { Home::Features }
}

/// Plays one case with a bot of its own.
pub async fn run_case(transcript: &Transcript, case: &Case, make: &Make<'_>) -> CaseResult {
    let mut result = CaseResult { steps: Vec::new(), fault: None };
    let path = &transcript.path;
    let home = Some(home_of(path));
    let opened = Session::open(&transcript.front, home, PathBuf::from(path), make).await;
    let mut session = match opened {
        Ok(session) => session,
        Err(error) => {
            result.fault = Some(Fault::at(path, case.line, format!("{error:#}")));
            return result;
        }
    };
    for step in &case.steps {
        let here = session.place(&step.typed);
        match session.play(&step.typed).await {
            Ok(lines) => {
                let happened: Vec<Shown> = lines.iter().map(|line| show(line, &here)).collect();
                let expected: Vec<&str> = step.expected().map(|(_, text)| text).collect();
                let matching = pair(&expected, &happened);
                result.steps.push(StepResult { happened, matching });
            }
            Err(trouble) => {
                result.fault = Some(Fault::at(path, step.line, trouble.to_string()));
                break;
            }
        }
    }
    if let Err(error) = session.close().await {
        result.fault.get_or_insert_with(|| Fault::at(path, case.line, format!("{error:#}")));
    }
    result
}
