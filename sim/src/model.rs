//! The truth about what was committed, kept beside the database and without it: every commit is held
//! against it, and at quiet moments the database is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use qundao::clock::TimeMs;
use qundao::event::{Envelope, EventKind};
use qundao::id::Ref;
use qundao::store::{EventState, Settlement, TimerRow, TurnRows, Write};

use crate::op::Plan;
use crate::oracle::ledger::Books;
use crate::oracle::sends::Sends;
use crate::world::{Verdict, Violation};

/// A committed event.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its number.
    pub id: i64,
    /// Handled, waiting or set aside.
    pub state: EventState,
}

/// Times of a routine and what became of them: local time and fold, with the moment and the state.
pub type Decided = BTreeMap<(String, u8), (TimeMs, String)>;

/// What was committed.
pub struct Model {
    /// Events by account and key.
    pub events: BTreeMap<(Ref, Arc<str>), Known>,
    /// What platforms have told, by account and key.
    pub told: BTreeMap<(Ref, Arc<str>), Envelope>,
    /// Messages that were counted, by community and person.
    pub counts: BTreeMap<(i64, i64), i64>,
    /// What the probe has counted, by community.
    pub seen: BTreeMap<i64, i64>,
    /// Messages that were handled, by community.
    pub handled: BTreeMap<i64, i64>,
    /// The latest event that was handled, by community.
    pub latest: BTreeMap<i64, i64>,
    /// Points.
    pub books: Books,
    /// Deliveries.
    pub sends: Sends,
    /// Times of routines by community, script and name.
    pub runs: BTreeMap<(i64, String, String), Decided>,
    /// When each of them first waited for a time, and for which.
    pub planned: BTreeMap<(i64, String, String), (TimeMs, TimeMs)>,
    /// Timers that wait.
    pub timers: BTreeMap<i64, TimerRow>,
    /// Communities of groups, by the group's reference.
    pub communities: BTreeMap<Ref, i64>,
    /// Persons by account.
    pub persons: BTreeMap<Ref, i64>,
    /// Events that were set aside.
    pub quarantined: u64,
    poison: u64,
    stale_ms: i64,
}

impl Model {
    /// Nothing was committed yet.
    pub fn new(plan: &Plan) -> Self {
        Self {
            events: BTreeMap::new(),
            told: BTreeMap::new(),
            counts: BTreeMap::new(),
            seen: BTreeMap::new(),
            handled: BTreeMap::new(),
            latest: BTreeMap::new(),
            books: Books::default(),
            sends: Sends::default(),
            runs: BTreeMap::new(),
            planned: BTreeMap::new(),
            timers: BTreeMap::new(),
            communities: BTreeMap::new(),
            persons: BTreeMap::new(),
            quarantined: 0,
            poison: plan.rates.poisoned,
            stale_ms: 120_000,
        }
    }

    /// A platform was told that it need not repeat this.
    pub fn acked(&self, account: &Ref, key: &Arc<str>) -> Verdict {
        let key_of = (account.clone(), key.clone());
        let is_direct = self.told.get(&key_of).is_some_and(|told| told.group.is_none());
        // Who is in no community and writes to the bot alone is heard by nobody.
        if self.events.contains_key(&key_of) || is_direct {
            return Ok(());
        }
        Err(Violation::new("O1 accepted", format!("{key} was acknowledged and is not committed")))
    }

    /// Something was committed; `now` is what the machine's clock showed.
    pub fn committed(&mut self, write: &Write, now: TimeMs) -> Verdict {
        match write {
            Write::Turn(rows) => self.turn(rows, now),
            Write::Deliver(delivery) => self.sends.add(delivery, false),
            Write::Audit(_) => Ok(()),
            Write::Settle(Settlement { id, state, .. }) => self.sends.settle(id.0, *state),
        }
    }

    fn turn(&mut self, rows: &TurnRows, now: TimeMs) -> Verdict {
        for group in &rows.groups {
            self.communities.insert(group.reference.clone(), group.community.0);
        }
        self.people(rows)?;
        self.event(rows)?;
        self.count(rows)?;
        self.routines(rows, now)?;
        let told = self.told.get(&(rows.event.account.clone(), rows.event.key.clone()));
        self.books.turn(rows, told)?;
        let is_stale =
            rows.event.kind != "tick" && (rows.event.received_at - rows.event.at > self.stale_ms);
        for delivery in &rows.deliveries {
            self.sends.add(delivery, is_stale)?;
        }
        self.traces(rows)
    }

    /// One account is one person, for good.
    fn people(&mut self, rows: &TurnRows) -> Verdict {
        for row in &rows.persons {
            let known = self.persons.entry(row.account.clone()).or_insert(row.id.0);
            if *known != row.id.0 {
                let text = format!("{} is person {known} and now {}", row.account, row.id);
                return Err(Violation::new("O1 persons", text));
            }
        }
        Ok(())
    }

    /// O1 and O2: once each, in the order in which they were accepted, and nothing that nobody sent.
    fn event(&mut self, rows: &TurnRows) -> Verdict {
        let event = &rows.event;
        let key = (event.account.clone(), event.key.clone());
        let is_told = self.told.contains_key(&key);
        if !is_told && crate::cast::PLATFORMS.contains(&event.account.platform()) {
            let text = format!("nobody sent {} of {}", event.key, event.account);
            return Err(Violation::new("O1 accepted", text));
        }
        let known = Known { id: event.id.0, state: event.state };
        if let Some(before) = self.events.insert(key, known) {
            let goes_on = before.id == event.id.0 && before.state == EventState::Waiting;
            if !goes_on {
                let text =
                    format!("{} was committed as {} and as {}", event.key, before.id, event.id);
                return Err(Violation::new("O1 once", text));
            }
        }
        match event.state {
            EventState::Waiting => return Ok(()),
            EventState::Quarantined => {
                self.quarantined += 1;
                if self.poison == 0 {
                    let text = format!("{} was set aside: {:?}", event.key, event.outcome);
                    return Err(Violation::new("O1 handled", text));
                }
            }
            EventState::Done => {}
        }
        let latest = self.latest.entry(event.community.0).or_default();
        // A timer has its number only when it is due, and what waits does not hold it up.
        if event.kind == "tick" {
            return Ok(());
        }
        if event.id.0 <= *latest {
            let text = format!("event {} was handled after {latest}", event.id);
            return Err(Violation::new("O2 order", text));
        }
        *latest = event.id.0;
        Ok(())
    }

    /// O1: a message counts once, for its author and for the probe.
    fn count(&mut self, rows: &TurnRows) -> Verdict {
        let event = &rows.event;
        let community = event.community.0;
        for row in &rows.touched {
            let count = self.counts.entry((community, row.person.0)).or_default();
            *count += 1;
            if row.messages != *count {
                let text =
                    format!("person {} has {} messages, not {count}", row.person, row.messages);
                return Err(Violation::new("O1 counts", text));
            }
        }
        let is_message = event.kind == "message" && event.state == EventState::Done;
        // Who writes to the bot alone may be asked which community she means.
        let is_heard = event.group.is_some() || rows.state.iter().any(|row| row.script == "count");
        if is_message && is_heard {
            *self.handled.entry(community).or_default() += 1;
        }
        for row in rows.state.iter().filter(|row| row.script == "count" && row.key == "seen") {
            let seen = self.seen.entry(community).or_default();
            *seen += 1;
            let value = row.value.as_deref().unwrap_or_default();
            if value != format!("{{\"Int\":{seen}}}") || !is_message {
                let text = format!("the probe of community {community} has {value}, not {seen}");
                return Err(Violation::new("O1 state", text));
            }
        }
        Ok(())
    }

    /// O5, online: a time is decided once, and a routine waits for one time.
    fn routines(&mut self, rows: &TurnRows, now: TimeMs) -> Verdict {
        for run in &rows.runs {
            let routine = (run.community.0, run.script.clone(), run.name.clone());
            let slot = (run.local.clone(), run.fold);
            let decided = self.runs.entry(routine).or_default();
            if decided.insert(slot, (run.at, run.state.to_owned())).is_some() {
                let text = format!("{} of {} was decided twice", run.local, run.name);
                return Err(Violation::new("O5 slots", text));
            }
        }
        for id in &rows.timers_gone {
            self.timers.remove(&id.0);
        }
        let gone: BTreeSet<i64> = rows.timers_gone.iter().map(|id| id.0).collect();
        for timer in rows.timers.iter().filter(|timer| !gone.contains(&timer.id.0)) {
            if let Some(name) = timer.name.strip_prefix('@') {
                let same = self.timers.values().any(|other| {
                    (other.community, &other.script, &other.name)
                        == (timer.community, &timer.script, &timer.name)
                });
                if same {
                    let text = format!("the routine {name} waits twice");
                    return Err(Violation::new("O5 slots", text));
                }
                let routine = (timer.community.0, timer.script.clone(), name.to_owned());
                self.planned.entry(routine).or_insert((now, timer.due));
            }
            self.timers.insert(timer.id.0, timer.clone());
        }
        Ok(())
    }

    /// A handler that failed leaves no trace.
    fn traces(&self, rows: &TurnRows) -> Verdict {
        let state = rows.state.iter().any(|row| row.script == "faulty");
        let points = rows.transfers.iter().any(|transfer| transfer.code == "faulty");
        let words = rows.deliveries.iter().any(|delivery| {
            delivery.script.as_ref().is_some_and(|script| script.as_str() == "faulty")
        });
        if state || points || words {
            let text = format!("state {state}, points {points}, words {words} of a failed handler");
            return Err(Violation::new("O3 savepoint", text));
        }
        Ok(())
    }

    /// Notes what a platform tells.
    pub fn tell(&mut self, envelope: &Envelope) {
        let key = (envelope.account.clone(), envelope.key.clone());
        self.told.insert(key, envelope.clone());
    }
}

/// The text of a message.
pub fn text_of(envelope: &Envelope) -> String {
    match &envelope.kind {
        EventKind::Message { elements, .. } => qundao::event::plain_text(elements),
        EventKind::Button { value, .. } => value.clone(),
        _ => String::new(),
    }
}
