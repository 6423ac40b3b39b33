//! Keeps children alive and frames moving.
//!
//! Three places: the *main* child serves everybody, the *spare* waits warm to take its place, and
//! in the *cell* a suspect runs alone. When the main child dies, the frames that its threads were
//! at are suspects; all others are sent anew at once. Alone in the cell there is no doubt who ends
//! a process: at the third time the run is left out, and its script counts as a killer.

mod catalog;
mod deaths;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::Instant;

use catalog::Catalog;

use super::flight::{Flight, Place};
use super::host::{Figures, Program, Threads};
use super::process::Child;
use super::strikes::Strikes;
use super::wire::{Down, Up};
use crate::id::EventId;
use crate::script::protocol::{Answer, Bundle, Done, Frame, Incident, ScriptLimits, Work};

/// A child with frames that says nothing for so long is taken for dead: its own watchdog would
/// have spoken long before.
const SILENCE: Duration = Duration::from_secs(2);
/// The same for one that is still starting, which a busy machine makes long.
const SILENCE_AT_START: Duration = Duration::from_secs(20);
/// The cell is given up when nobody had to be alone for so long.
const CELL_IDLE: Duration = Duration::from_secs(10);
/// The main child makes room for the spare when it has kept this much more memory, KiB: the spare
/// has the same scripts, so the rest is what some handler needed once.
const SWOLLEN_KIB: u64 = 64 * 1024;
/// A main child is not looked at for that before this age, so that they do not follow each other.
const SWOLLEN_AFTER: Duration = Duration::from_secs(5);
/// How often silence and idleness are looked for.
const LOOK: Duration = Duration::from_millis(250);
/// Wait before a child that could not be started is tried again.
const START_AGAIN: Duration = Duration::from_secs(1);
/// A frame that was with so many children that died of nobody knows what is not tried again.
const REPLAYS_MAX: usize = 5;

/// What the supervisor is asked.
pub(super) enum Order {
    /// Scripts that frames may name from now on.
    Install(Arc<Bundle>),
    /// Frames to run.
    Batch(Vec<Work>, UnboundedSender<Done>),
}

/// The task.
pub(super) struct Supervisor {
    program: Program,
    limits: ScriptLimits,
    threads: Threads,
    main: Option<Child>,
    spare: Option<Child>,
    cell: Option<Child>,
    /// Who is in the cell, and who waits for it.
    alone: Option<EventId>,
    waiting: VecDeque<EventId>,
    cell_used: Instant,
    looked: Instant,
    flights: HashMap<EventId, Flight>,
    /// Frames of the main child.
    in_main: usize,
    /// Since when the main child has its place.
    main_since: Instant,
    /// It is to make room for the spare as soon as it has no frame.
    is_swollen: bool,
    catalog: Catalog,
    strikes: Strikes,
    incidents: UnboundedSender<Incident>,
    figures: Arc<Figures>,
    /// No child is started before.
    start_after: Instant,
    told_of_failure: bool,
}

/// What woke the supervisor.
enum Woken {
    Orders(usize),
    Main(io::Result<()>),
    Spare(io::Result<()>),
    Cell(io::Result<()>),
    Look,
}

impl Supervisor {
    pub(super) fn new(
        program: Program,
        limits: ScriptLimits,
        threads: Threads,
        main: Child,
        incidents: UnboundedSender<Incident>,
        figures: Arc<Figures>,
    ) -> Self {
        let now = Instant::now();
        Self {
            program,
            limits,
            threads,
            main: Some(main),
            spare: None,
            cell: None,
            alone: None,
            waiting: VecDeque::new(),
            cell_used: now,
            looked: now,
            flights: HashMap::new(),
            in_main: 0,
            main_since: now,
            is_swollen: false,
            catalog: Catalog::default(),
            strikes: Strikes::default(),
            incidents,
            figures,
            start_after: now,
            told_of_failure: false,
        }
    }

    /// Works until its host is dropped.
    pub(super) async fn run(mut self, mut orders: UnboundedReceiver<Order>) {
        let mut batch = Vec::new();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.keep_spare();
        loop {
            let woken = tokio::select! {
                biased;
                heard = heard(&mut self.main) => Woken::Main(heard),
                heard = heard(&mut self.cell) => Woken::Cell(heard),
                count = orders.recv_many(&mut batch, 64) => Woken::Orders(count),
                heard = heard(&mut self.spare) => Woken::Spare(heard),
                _ = look.tick() => Woken::Look,
            };
            match woken {
                Woken::Orders(0) => return,
                Woken::Orders(_) => batch.drain(..).for_each(|order| self.take(order)),
                Woken::Main(heard) => self.hear(Place::Main, heard),
                Woken::Cell(heard) => self.hear(Place::Cell, heard),
                Woken::Spare(heard) => self.hear_spare(heard),
                Woken::Look => self.look(),
            }
            for child in [&mut self.main, &mut self.cell, &mut self.spare].into_iter().flatten() {
                child.push();
            }
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Install(bundle) => self.install(bundle),
            Order::Batch(works, done) => {
                for work in works {
                    self.begin(Flight::new(work, done.clone()));
                }
            }
        }
    }

    fn install(&mut self, bundle: Arc<Bundle>) {
        let forgotten = self.catalog.install(bundle);
        for child in [&mut self.main, &mut self.cell, &mut self.spare].into_iter().flatten() {
            forgotten.tell(child);
        }
        if let Some(spare) = &mut self.spare {
            self.catalog.warm(spare);
        }
    }

    /// Sends a frame where it belongs.
    fn begin(&mut self, mut flight: Flight) {
        let turn = flight.work.frame.turn;
        if flight.replays > REPLAYS_MAX {
            flight.fail("the process that runs scripts ended several times while it ran");
            return;
        }
        let is_known = self.catalog.knows(flight.work.frame.bundle);
        if !is_known {
            let bundle = flight.work.frame.bundle;
            flight.fail(&format!("there is no bundle {bundle} of scripts any more"));
            return;
        }
        if flight.place == Place::Main && self.has_suspect(&flight.work.frame) {
            flight.place = Place::Cell;
        }
        match flight.place {
            Place::Main => {
                let is_first = self.in_main == 0;
                self.in_main += 1;
                if let Some(main) = &mut self.main {
                    if is_first {
                        main.expect();
                    }
                    let sent = self.catalog.send(main, &flight.work.frame);
                    if !sent {
                        self.in_main -= 1;
                        flight.fail("one of its scripts is not among those in force");
                        return;
                    }
                }
            }
            Place::Cell => self.waiting.push_back(turn),
        }
        self.flights.insert(turn, flight);
        self.step_cell();
    }

    /// Whether a frame runs a script that ended a process lately.
    fn has_suspect(&mut self, frame: &Frame) -> bool {
        if self.strikes.is_empty() {
            return false;
        }
        let (strikes, catalog) = (&mut self.strikes, &self.catalog);
        frame.runs.iter().filter(|run| run.spared.is_none()).any(|run| {
            let source = catalog.source(frame.bundle, &run.script);
            source.is_some_and(|source| strikes.is_suspect(&run.script, &source.revision))
        })
    }

    /// Lets the next suspect into the cell, if it is free.
    fn step_cell(&mut self) {
        while self.alone.is_none() {
            let Some(turn) = self.waiting.pop_front() else { return };
            if self.cell.is_none() {
                // The spare is warm; another one takes its place.
                self.cell = self.spare.take().or_else(|| self.start());
                self.keep_spare();
            }
            let Some(flight) = self.flights.get(&turn) else { continue };
            let Some(cell) = &mut self.cell else {
                self.waiting.push_front(turn);
                return;
            };
            self.cell_used = Instant::now();
            cell.expect();
            if self.catalog.send(cell, &flight.work.frame) {
                self.alone = Some(turn);
            } else if let Some(flight) = self.flights.remove(&turn) {
                flight.fail("one of its scripts is not among those in force");
            }
        }
    }

    /// Takes in what a child says.
    fn hear(&mut self, place: Place, heard: io::Result<()>) {
        let mut wrong = heard.err().map(|error| error.to_string());
        loop {
            let child = match place {
                Place::Main => self.main.as_mut(),
                Place::Cell => self.cell.as_mut(),
            };
            let Some(child) = child else { return };
            match child.next() {
                Ok(Some(Up::Answer(answer))) => self.answered(answer),
                Ok(Some(Up::Call { thread, turn, call })) => {
                    let Some(flight) = self.flights.get_mut(&turn) else { continue };
                    let reply = flight.work.host.call(call);
                    child.say(&Down::Reply { thread, reply: &reply });
                }
                Ok(Some(Up::Rollback { turn, run })) => {
                    if let Some(flight) = self.flights.get_mut(&turn) {
                        flight.work.host.rollback(run);
                    }
                }
                Ok(Some(Up::Stuck { turn, run, after_ms })) => {
                    child.stuck = Some((turn, run, after_ms));
                }
                Ok(Some(Up::Ready { missing })) => {
                    child.is_ready = true;
                    self.figures.note_missing(missing);
                }
                Ok(Some(Up::Checked(_))) => {}
                Ok(None) => break,
                Err(error) => {
                    child.is_given_up = true;
                    wrong = Some(error);
                    break;
                }
            }
        }
        if let Some(reason) = wrong {
            tracing::debug!(?place, reason, "a script child is gone");
            self.died(place);
        }
    }

    fn answered(&mut self, answer: Answer) {
        let Some(flight) = self.flights.remove(&answer.turn) else { return };
        // More outcomes than runs is nothing that a child of ours says.
        let fits = answer.outcomes.len() <= flight.work.frame.runs.len();
        if flight.place == Place::Main {
            self.in_main -= 1;
            self.relieve_main();
        } else if self.alone == Some(answer.turn) {
            self.alone = None;
            self.cell_used = Instant::now();
            self.step_cell();
        }
        if fits {
            flight.finish(answer);
        } else {
            flight.fail("the process that runs scripts gave an answer that makes no sense");
        }
    }

    /// The spare says that it is ready, or is gone.
    fn hear_spare(&mut self, heard: io::Result<()>) {
        let Some(spare) = &mut self.spare else { return };
        let said = spare.next();
        if let Ok(Some(Up::Ready { missing })) = said {
            spare.is_ready = true;
            self.figures.note_missing(missing);
        } else if heard.is_err() || said.is_err() {
            self.spare = None;
            self.start_after = Instant::now() + START_AGAIN;
        }
    }

    /// Looks for children that have gone silent, and for places that stand empty.
    fn look(&mut self) {
        let now = Instant::now();
        if now.duration_since(std::mem::replace(&mut self.looked, now)) > SILENCE {
            // It was us who were held up, or the whole machine: nobody else could speak either.
            for child in [&mut self.main, &mut self.cell].into_iter().flatten() {
                child.expect();
            }
        }
        let silent = |child: &mut Option<Child>, is_busy: bool| {
            let Some(child) = child.as_mut().filter(|_| is_busy) else { return false };
            child.gives_up(if child.is_ready { SILENCE } else { SILENCE_AT_START })
        };
        if self.main.is_none() {
            self.keep_main();
            self.resend();
        }
        if silent(&mut self.main, self.in_main > 0) {
            self.died(Place::Main);
        }
        if silent(&mut self.cell, self.alone.is_some()) {
            self.died(Place::Cell);
        }
        self.weigh_main();
        let is_idle = self.alone.is_none() && self.waiting.is_empty();
        if is_idle && self.cell_used.elapsed() > CELL_IDLE {
            self.cell = None;
        }
        self.keep_spare();
        self.step_cell();
    }

    /// Sees whether the main child has kept memory that its scripts do not need.
    fn weigh_main(&mut self) {
        if self.main_since.elapsed() < SWOLLEN_AFTER {
            return;
        }
        let own = |child: &Option<Child>| child.as_ref().and_then(Child::own_kib);
        let main = own(&self.main).unwrap_or(0);
        self.is_swollen =
            main > SWOLLEN_KIB && own(&self.spare).is_some_and(|spare| main > spare + SWOLLEN_KIB);
        self.relieve_main();
    }

    /// Lets the spare take the place of a swollen main child between two frames, where nobody
    /// notices.
    fn relieve_main(&mut self) {
        let is_ready = self.spare.as_ref().is_some_and(|spare| spare.is_ready);
        if self.is_swollen && self.in_main == 0 && is_ready {
            tracing::debug!("the script child has kept too much memory and is replaced");
            self.is_swollen = false;
            self.main = self.spare.take();
            self.main_since = Instant::now();
            self.keep_spare();
        }
    }

    /// Frames that came while there was no child.
    fn resend(&mut self) {
        if let Some(main) = &mut self.main {
            for flight in self.flights.values().filter(|flight| flight.place == Place::Main) {
                self.catalog.send(main, &flight.work.frame);
            }
        }
    }

    fn keep_main(&mut self) {
        if self.main.is_none() {
            self.main = self.start();
        }
        self.main_since = Instant::now();
        self.is_swollen = false;
    }

    fn keep_spare(&mut self) {
        if self.threads.has_spare && self.spare.is_none() && self.main.is_some() {
            self.spare = self.start();
        }
    }

    /// Starts a child, unless one could not be started a moment ago.
    fn start(&mut self) -> Option<Child> {
        if Instant::now() < self.start_after {
            return None;
        }
        match Child::start(&self.program, &self.limits, self.threads.count) {
            Ok(mut child) => {
                self.catalog.warm(&mut child);
                child.push();
                self.told_of_failure = false;
                Some(child)
            }
            Err(error) => {
                self.start_after = Instant::now() + START_AGAIN;
                if !std::mem::replace(&mut self.told_of_failure, true) {
                    tracing::error!(%error, "no process for scripts can be started; they wait");
                }
                None
            }
        }
    }
}

/// Waits for a child that is there.
async fn heard(child: &mut Option<Child>) -> io::Result<()> {
    match child {
        Some(child) => child.heard().await,
        None => std::future::pending().await,
    }
}
