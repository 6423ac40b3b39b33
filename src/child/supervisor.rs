//! Keeps children alive and frames moving.
//!
//! Three places: the *main* child serves everybody, the *spare* waits warm to take its place, and
//! in the *cell* a suspect runs alone. When the main child dies, the frames that its threads were
//! at are suspects; all others are sent anew at once. Alone in the cell there is no doubt who ends
//! a process: at the third time the run is left out, and its script counts as a killer.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::Instant;

use super::flight::{Flight, Place};
use super::host::{Figures, Program, Threads};
use super::process::{Child, Death};
use super::strikes::Strikes;
use super::wire::{Down, Up, frame_out};
use crate::id::{EventId, ScriptName};
use crate::script::protocol::{Answer, Bundle, Done, Frame, Incident, ScriptLimits, Work};
use crate::value::ValueMap;

/// The current bundle and the one before it; older ones only as long as a plan holds them.
const BUNDLES_KEPT: usize = 2;
/// A child with frames that says nothing for so long is taken for dead: its own watchdog would
/// have spoken long before.
const SILENCE: Duration = Duration::from_secs(2);
/// The cell is given up when nobody had to be alone for so long.
const CELL_IDLE: Duration = Duration::from_secs(10);
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

/// A bundle with the places of its scripts.
struct Kept {
    bundle: Arc<Bundle>,
    index: HashMap<ScriptName, usize>,
}

/// Settings by number.
#[derive(Default)]
struct SettingsTable {
    next: u32,
    by_address: HashMap<usize, (u32, Arc<ValueMap>)>,
}

impl SettingsTable {
    /// The number of settings; the map is kept, so that its address stays its own.
    fn number(&mut self, settings: &Arc<ValueMap>) -> u32 {
        let next = &mut self.next;
        let entry = self.by_address.entry(Arc::as_ptr(settings).addr());
        let new = || {
            *next += 1;
            (*next, Arc::clone(settings))
        };
        entry.or_insert_with(new).0
    }

    /// Forgets those that only this table still holds; gives their numbers.
    fn forget(&mut self) -> Vec<u32> {
        let mut gone = Vec::new();
        self.by_address.retain(|_, (number, settings)| {
            let stays = Arc::strong_count(settings) > 1;
            if !stays {
                gone.push(*number);
            }
            stays
        });
        gone
    }
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
    flights: HashMap<EventId, Flight>,
    /// Frames of the main child.
    in_main: usize,
    bundles: VecDeque<Kept>,
    settings: SettingsTable,
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
            flights: HashMap::new(),
            in_main: 0,
            bundles: VecDeque::new(),
            settings: SettingsTable::default(),
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
        self.bundles.retain(|kept| kept.bundle.number != bundle.number);
        let index = bundle.sources.keys().cloned().zip(0..).collect();
        // The same number may stand for other scripts where a bot was made anew.
        for child in [&mut self.main, &mut self.cell, &mut self.spare].into_iter().flatten() {
            child.bundles.retain(|known| *known != bundle.number);
        }
        self.bundles.push_front(Kept { bundle, index });
        let mut place = 0;
        let mut gone = Vec::new();
        self.bundles.retain(|kept| {
            place += 1;
            let stays = place <= BUNDLES_KEPT || Arc::strong_count(&kept.bundle) > 1;
            if !stays {
                gone.push(kept.bundle.number);
            }
            stays
        });
        let settings = self.settings.forget();
        for child in [&mut self.main, &mut self.cell, &mut self.spare].into_iter().flatten() {
            child.bundles.retain(|known| !gone.contains(known));
            child.settings.retain(|known| !settings.contains(known));
            child.say(&Down::Forget { bundles: &gone, settings: &settings });
        }
        if let Some(spare) = &mut self.spare {
            warm(spare, &self.bundles);
        }
    }

    /// Sends a frame where it belongs.
    fn begin(&mut self, mut flight: Flight) {
        let turn = flight.work.frame.turn;
        if flight.replays > REPLAYS_MAX {
            flight.fail("the process that runs scripts ended several times while it ran");
            return;
        }
        let is_known = self.kept(flight.work.frame.bundle).is_some();
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
                self.in_main += 1;
                if let Some(main) = &mut self.main {
                    let sent = send(main, &flight.work.frame, &self.bundles, &mut self.settings);
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

    fn kept(&self, number: u64) -> Option<&Kept> {
        self.bundles.iter().find(|kept| kept.bundle.number == number)
    }

    /// Whether a frame runs a script that ended a process lately.
    fn has_suspect(&mut self, frame: &Frame) -> bool {
        if self.strikes.is_empty() {
            return false;
        }
        let Some(kept) = self.bundles.iter().find(|kept| kept.bundle.number == frame.bundle) else {
            return false;
        };
        let strikes = &mut self.strikes;
        frame.runs.iter().filter(|run| run.spared.is_none()).any(|run| {
            let source = kept.bundle.sources.get(&run.script);
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
            if send(cell, &flight.work.frame, &self.bundles, &mut self.settings) {
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

    /// A child has ended: its frames go elsewhere.
    fn died(&mut self, place: Place) {
        let gone = match place {
            Place::Main => self.main.take(),
            Place::Cell => self.cell.take(),
        };
        let Some(gone) = gone else { return };
        let death = gone.bury();
        self.figures.note_death();
        match place {
            Place::Main => self.replace_main(&death),
            Place::Cell => {
                if let Some(turn) = self.alone.take() {
                    let run =
                        death.at.iter().find(|(at, _)| *at == turn).map_or(0, |(_, run)| *run);
                    self.killed(turn, run, &death.why);
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
        let is_certain = suspects.len() == 1;
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
    fn killed(&mut self, turn: EventId, run: usize, why: &str) {
        let Some(flight) = self.flights.get_mut(&turn) else { return };
        flight.work.host.restart();
        let kills = flight.note_kill(run);
        if kills >= self.limits.kills {
            let path = self.path_of(turn, run);
            let message = format!(
                "this handler {why}; it ended the process that runs scripts {kills} times and is \
                 left out for this event (limit `script_kills`)"
            );
            if let Some(flight) = self.flights.get_mut(&turn) {
                flight.spare(run, path, message);
            }
        }
        self.strike(turn, run, why);
    }

    fn path_of(&self, turn: EventId, run: usize) -> String {
        let found = self.flights.get(&turn).and_then(|flight| {
            let frame = &flight.work.frame;
            let run = frame.runs.get(run)?;
            let source = self.kept(frame.bundle)?.bundle.sources.get(&run.script)?;
            Some(source.path.clone())
        });
        found.unwrap_or_default()
    }

    /// Holds a kill against the script that was running.
    fn strike(&mut self, turn: EventId, run: usize, why: &str) {
        let Some(flight) = self.flights.get(&turn) else { return };
        let frame = &flight.work.frame;
        let Some(run) = frame.runs.get(run) else { return };
        let source = self
            .bundles
            .iter()
            .find(|kept| kept.bundle.number == frame.bundle)
            .and_then(|kept| kept.bundle.sources.get(&run.script));
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

    /// Looks for children that have gone silent, and for places that stand empty.
    fn look(&mut self) {
        let silent = |child: &Option<Child>, is_busy: bool| {
            is_busy && child.as_ref().is_some_and(|child| child.is_silent(child.heard, SILENCE))
        };
        if self.main.is_none() {
            self.keep_main();
            self.resend();
        }
        if silent(&self.main, self.in_main > 0) {
            self.died(Place::Main);
        }
        if silent(&self.cell, self.alone.is_some()) {
            self.died(Place::Cell);
        }
        let is_idle = self.alone.is_none() && self.waiting.is_empty();
        if is_idle && self.cell_used.elapsed() > CELL_IDLE {
            self.cell = None;
        }
        self.keep_spare();
        self.step_cell();
    }

    /// Frames that came while there was no child.
    fn resend(&mut self) {
        if let Some(main) = &mut self.main {
            for flight in self.flights.values().filter(|flight| flight.place == Place::Main) {
                send(main, &flight.work.frame, &self.bundles, &mut self.settings);
            }
        }
    }

    fn keep_main(&mut self) {
        if self.main.is_none() {
            self.main = self.start();
        }
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
                warm(&mut child, &self.bundles);
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

/// Tells a child the newest scripts ahead of any frame.
fn warm(child: &mut Child, bundles: &VecDeque<Kept>) {
    if let Some(newest) = bundles.front()
        && !child.bundles.contains(&newest.bundle.number)
    {
        child.bundles.push(newest.bundle.number);
        child.say(&Down::Bundle(&newest.bundle));
    }
}

/// Says to a child what a frame names, then the frame; `false` where that cannot be named.
fn send(
    child: &mut Child,
    frame: &Frame,
    bundles: &VecDeque<Kept>,
    table: &mut SettingsTable,
) -> bool {
    let Some(kept) = bundles.iter().find(|kept| kept.bundle.number == frame.bundle) else {
        return false;
    };
    if !child.bundles.contains(&frame.bundle) {
        child.bundles.push(frame.bundle);
        child.say(&Down::Bundle(&kept.bundle));
    }
    let mut numbers = Vec::with_capacity(frame.runs.len());
    for run in &frame.runs {
        let number = table.number(&run.settings);
        if child.settings.insert(number) {
            child.say(&Down::Settings { number, settings: &run.settings });
        }
        numbers.push(number);
    }
    match frame_out(frame, &kept.index, &numbers) {
        Some(frame) => {
            child.say(&Down::Frame(frame));
            true
        }
        None => false,
    }
}
