//! What happens when a child ends.
//!
//! All frames of it are sent anew at once. Those that its threads were at are suspects, and a
//! suspect runs alone in the cell: there is no doubt who ends a process there. Unless it was killed
//! from outside: that may have been meant for anybody, and counts against a script only when the
//! same event has met it as often as an event may.

use super::super::flight::Place;
use super::super::process::Death;
use super::Supervisor;
use crate::id::EventId;
use crate::script::protocol::Incident;

impl Supervisor {
    /// A child has ended: its frames go elsewhere.
    pub(super) fn died(&mut self, place: Place) {
        let gone = match place {
            Place::Main => self.main.take(),
            Place::Cell => self.cell.take(),
        };
        let Some(gone) = gone else { return };
        let death = gone.bury();
        self.figures.note_death();
        if death.is_from_outside {
            tracing::warn!(
                "the process that runs scripts was killed from outside, by the system perhaps, and \
                 was replaced; nothing is lost"
            );
        }
        match place {
            Place::Main => self.replace_main(&death),
            Place::Cell => {
                if let Some(turn) = self.alone.take() {
                    let run =
                        death.at.iter().find(|(at, _)| *at == turn).map_or(0, |(_, run)| *run);
                    self.killed(turn, run, &death);
                    self.waiting.push_front(turn);
                }
            }
        }
        self.keep_spare();
        self.step_cell();
    }

    /// The spare takes over, and all frames of the old child are sent to it; but who may have
    /// ended that one goes to the cell.
    fn replace_main(&mut self, death: &Death) {
        self.main = self.spare.take();
        self.keep_main();
        let in_main: Vec<EventId> = self
            .flights
            .iter()
            .filter(|(_, flight)| flight.place == Place::Main)
            .map(|(turn, _)| *turn)
            .collect();
        self.in_main = 0;
        let suspects: Vec<(EventId, usize)> =
            death.at.iter().filter(|(turn, _)| in_main.contains(turn)).copied().collect();
        let is_certain = suspects.len() == 1 && !death.is_from_outside;
        for turn in in_main {
            let Some(mut flight) = self.flights.remove(&turn) else { continue };
            flight.work.host.restart();
            let suspected = suspects.iter().find(|(at, _)| *at == turn);
            if let Some((_, run)) = suspected {
                flight.note_kill(*run);
                flight.place = Place::Cell;
            }
            flight.replays += 1;
            let is_suspect = suspected.is_some();
            self.begin(flight);
            if let (true, true, Some((_, run))) = (is_suspect, is_certain, suspected) {
                self.strike(turn, *run, &death.why);
            }
        }
    }

    /// A frame ended its process while it was alone.
    fn killed(&mut self, turn: EventId, run: usize, death: &Death) {
        let Some(flight) = self.flights.get_mut(&turn) else { return };
        flight.work.host.restart();
        let why = &death.why;
        let kills = flight.note_kill(run);
        let is_left_out = kills >= self.limits.kills;
        if is_left_out {
            let path = self.path_of(turn, run);
            let message = format!(
                "this handler {why}; it ended the process that runs scripts {kills} times and is \
                 left out for this event (limit `script_kills`)"
            );
            if let Some(flight) = self.flights.get_mut(&turn) {
                flight.spare(run, path, message);
            }
        }
        if is_left_out || !death.is_from_outside {
            self.strike(turn, run, why);
        }
    }

    fn path_of(&self, turn: EventId, run: usize) -> String {
        let found = self.flights.get(&turn).and_then(|flight| {
            let frame = &flight.work.frame;
            let run = frame.runs.get(run)?;
            let source = self.catalog.source(frame.bundle, &run.script)?;
            Some(source.path.clone())
        });
        found.unwrap_or_default()
    }

    /// Holds a kill against the script that was running.
    fn strike(&mut self, turn: EventId, run: usize, why: &str) {
        let Some(flight) = self.flights.get(&turn) else { return };
        let frame = &flight.work.frame;
        let Some(run) = frame.runs.get(run) else { return };
        let source = self.catalog.source(frame.bundle, &run.script);
        let Some(source) = source else { return };
        let (script, revision) = (source.name.clone(), source.revision.clone());
        let kills = self.strikes.add((script.clone(), revision.clone()));
        let incident = Incident {
            event: turn,
            handler: run.handler,
            path: source.path.clone(),
            script,
            revision,
            why: why.to_owned(),
            kills,
            is_condemned: kills == self.limits.kills,
        };
        // A bot that is ending does not want to know.
        let _ = self.incidents.send(incident);
    }
}
