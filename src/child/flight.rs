//! A frame that is with a child, and what is done with it when the child dies.

use tokio::sync::mpsc::UnboundedSender;

use crate::script::protocol::{Answer, Done, RunEnd, RunOutcome, ScriptError, Work};

/// Where a flight is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// With the child that serves everybody.
    Main,
    /// Alone with a child, or waiting for that.
    Cell,
}

/// A frame under way.
pub(super) struct Flight {
    pub(super) work: Work,
    pub(super) done: UnboundedSender<Done>,
    pub(super) place: Place,
    /// How often a process ended in each of its runs.
    kills: Vec<(usize, usize)>,
    /// How often it was sent anew without anybody knowing why.
    pub(super) replays: usize,
}

impl Flight {
    /// A frame that has not been sent yet.
    pub(super) fn new(work: Work, done: UnboundedSender<Done>) -> Self {
        Self { work, done, place: Place::Main, kills: Vec::new(), replays: 0 }
    }

    /// A process ended in a run; how often that has happened now.
    pub(super) fn note_kill(&mut self, run: usize) -> usize {
        match self.kills.iter_mut().find(|(known, _)| *known == run) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                self.kills.push((run, 1));
                1
            }
        }
    }

    /// The run is left out from now on: it counts as failed, and the others go on.
    pub(super) fn spare(&mut self, run: usize, path: String, message: String) {
        if let Some(run) = self.work.frame.runs.get_mut(run) {
            run.spared = Some(Box::new(fault(path, message)));
        }
    }

    /// Ends it with every run failed for this reason.
    pub(super) fn fail(mut self, message: &str) {
        self.work.host.restart();
        let outcomes = self.work.frame.runs.iter().map(|run| RunOutcome {
            end: RunEnd::Failed(fault(run.script.to_string(), message.to_owned())),
            effects: Vec::new(),
            stop: false,
            printed: Vec::new(),
            operations: 0,
            micros: 0,
        });
        let answer =
            Answer { turn: self.work.frame.turn, outcomes: outcomes.collect(), restart: false };
        self.finish(answer);
    }

    /// Hands it back.
    pub(super) fn finish(self, answer: Answer) {
        // Nobody listens any more when the bot is ending.
        let _ = self.done.send(Done { answer, host: self.work.host });
    }
}

fn fault(path: String, message: String) -> ScriptError {
    ScriptError { path, line: 0, column: 0, message, limit: Some("script_kills".to_owned()) }
}
