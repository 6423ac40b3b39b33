//! The end of a turn: from what the handlers wanted to the rows of one commit.

use serde::Serialize;

use super::Turn;
use crate::community::score::Mark;
use crate::community::{Breaker, Community};
use crate::config::PrivacyConfig;
use crate::dispatch::{Dispatch, OVERLOADED};
use crate::effect::{Delivery, Destination};
use crate::event::{Element, EventKind, plain_text};
use crate::id::{PersonId, ScriptName};
use crate::refusal::Refusal;
use crate::report::{Line, Notice};
use crate::script::protocol::{Answer, HostReply, RunEnd, RunOutcome, ScriptError};
use crate::store::{EventRow, EventState, RAN, RunRow, SKIPPED, TouchRow, TurnRows};
use crate::text::{span, text};
use crate::value::{Value, ValueMap};

/// Tag of members whose words are not kept in the archive; 别存我的消息 gives it.
pub const NO_ARCHIVE: &str = "no-archive";

/// Commands that were left undone are told at most this often, ms.
const DROPPED_TOLD_MS: i64 = 60_000;

/// A turn that is ready to commit.
pub struct Finished {
    /// Its rows.
    pub rows: Box<TurnRows>,
    /// What it did.
    pub lines: Vec<Line>,
    /// What the people who run the bot should know.
    pub notices: Vec<Notice>,
    /// The community's state, to be given back to its lane.
    pub community: Box<crate::community::Community>,
}

/// What is kept of a turn for explanation and replay.
#[derive(Serialize)]
struct Outcome<'a> {
    bundle: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runs: Vec<RunNote<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    lines: &'a [Line],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    answers: &'a [HostReply],
}

#[derive(Serialize)]
struct RunNote<'a> {
    script: &'a ScriptName,
    revision: &'a str,
    handler: u16,
    end: &'a RunEnd,
    micros: u64,
}

impl Turn {
    /// Ends the turn. `answer` is `None` when no handler matched.
    pub fn finish(mut self: Box<Self>, dispatch: &Dispatch, answer: Option<Answer>) -> Finished {
        let outcomes = answer.map(|answer| answer.outcomes).unwrap_or_default();
        let mut notices = std::mem::take(&mut self.notices);
        for (run, outcome) in outcomes.iter().enumerate() {
            self.end_run(run, outcome, dispatch, &mut notices);
        }
        self.end_command(dispatch, &outcomes);
        notices.append(&mut self.notices);
        self.score(dispatch);
        self.trim_packets();
        let lines = self.take_lines();
        let outcome = self.outcome(&outcomes, &lines);
        let has_failed = outcomes.iter().any(|run| matches!(run.end, RunEnd::Failed(_)));
        let mut rows = self.rows(outcome, has_failed);
        rows.is_left_undone =
            dispatch.refused.as_ref().is_some_and(|(refusal, _)| refusal.code == OVERLOADED);
        Finished { rows, lines, notices, community: self.community }
    }

    fn end_run(
        &mut self,
        run: usize,
        outcome: &RunOutcome,
        dispatch: &Dispatch,
        notices: &mut Vec<Notice>,
    ) {
        let Some((script, shadow)) = self.runs.get(run).map(|r| (r.script.clone(), r.shadow))
        else {
            return;
        };
        match &outcome.end {
            RunEnd::Ok => {
                self.note_success(&script);
                if shadow {
                    self.tell_shadow(run, &script, &outcome.effects);
                } else {
                    self.apply(run, &script, outcome.effects.clone());
                }
            }
            RunEnd::Refused(refusal) => {
                self.note_success(&script);
                let quiet = dispatch.command.as_ref().is_some_and(|c| c.run == run && c.quiet);
                let is_command = dispatch.command.as_ref().is_some_and(|c| c.run == run);
                if !shadow {
                    self.refuse(Some(run), Some(&script), refusal, !is_command, quiet);
                }
            }
            RunEnd::Failed(error) => self.note_failure(run, &script, error, notices),
        }
    }

    fn end_command(&mut self, dispatch: &Dispatch, outcomes: &[RunOutcome]) {
        if let Some((refusal, quiet)) = &dispatch.refused {
            self.refuse(None, None, refusal, false, *quiet);
        }
        if let Some(usage) = &dispatch.usage {
            let args = ValueMap::from([("usage".to_owned(), usage.as_str().into())]);
            self.answer_line("core.usage", &args, false);
        }
        if !dispatch.which.is_empty() {
            let names =
                Value::List(dispatch.which.iter().map(|name| name.as_str().into()).collect());
            let example = dispatch.which.first().map(|name| name.as_str().into());
            let args = ValueMap::from([
                ("names".to_owned(), names),
                ("example".to_owned(), example.unwrap_or_default()),
            ]);
            self.answer_line("core.which", &args, false);
        }
        if dispatch.unknown && self.event.group.is_none() {
            self.answer_line("core.unknown", &ValueMap::new(), false);
        }
        if let (Some(command), Some(person)) = (&dispatch.command, self.event.person)
            && command.cooldown_ms > 0
            && outcomes.get(command.run).is_some_and(|outcome| outcome.end == RunEnd::Ok)
        {
            let until = self.cooldown_end(command.cooldown_ms);
            let key = (person, command.script.clone(), command.handler);
            self.community.cooldowns.insert(key, until);
        }
    }

    /// A refusal is always recorded; it is worded unless nobody asked or nobody should see.
    fn refuse(
        &mut self,
        run: Option<usize>,
        script: Option<&ScriptName>,
        refusal: &Refusal,
        silent: bool,
        quiet: bool,
    ) {
        self.lines.push((run, Line::Refused { code: refusal.code.clone() }));
        if refusal.code == "busy" && run.is_none() {
            self.note_dropped();
        }
        if silent || self.event.stale || ["busy", OVERLOADED].contains(&refusal.code.as_str()) {
            return;
        }
        let content = vec![Element::Text(sentence(&self.plan.locale, refusal))];
        if quiet && self.event.group.is_some() {
            // Nobody else needs to read that somebody came too late.
            let actor = self.event.envelope.actor.as_ref().map(|actor| actor.id.clone());
            if self.can_tell_actor_alone() && actor.is_some() {
                // A lost line for one person is no loss worth telling.
                let _ = self.reply(script, content, actor);
                self.last_is_personal();
            }
            return;
        }
        let line = self.said(&content, false);
        if self.reply(script, content, None).is_ok() {
            self.last_is_personal();
            self.lines.push((run, line));
        }
    }

    /// Commands beyond a member's rate are left undone in silence, and told once a minute.
    fn note_dropped(&mut self) {
        let dropped = &mut self.community.dropped;
        dropped.count += 1;
        if self.now - dropped.told_at < DROPPED_TOLD_MS {
            return;
        }
        let (count, limits) = (dropped.count, self.world.limits());
        (dropped.count, dropped.told_at) = (0, self.now);
        let text = format!(
            "limit `commands` ({} in {} s a member) was reached: {count} commands of members were \
             left undone since this was told last",
            limits.commands, limits.commands_period_s
        );
        let community = Some(self.community.id);
        self.notices.push(Notice { community, text, is_problem: false });
    }

    /// Whether nobody but the actor need see an answer to this event.
    fn can_tell_actor_alone(&self) -> bool {
        let platform = self.world.platforms.get(self.event.envelope.account.platform());
        let can = |action| platform.is_some_and(|it| it.capabilities.can(action));
        // What a platform itself offered to press or to pick it can answer aside.
        let is_picked = match &self.event.envelope.kind {
            EventKind::Button { .. } => true,
            EventKind::Message { elements, to_bot, .. } => {
                *to_bot && plain_text(elements).starts_with('/')
            }
            _ => false,
        };
        can("private") || is_picked && can("private_answers")
    }

    /// The answer that was just given concerns who asked and nobody else.
    fn last_is_personal(&mut self) {
        let last = self.deliveries.last_mut().and_then(|delivery| delivery.answers.as_mut());
        if let Some(answers) = last {
            answers.is_personal = true;
        }
    }

    fn answer_line(&mut self, key: &str, args: &ValueMap, private: bool) {
        if self.event.stale {
            return;
        }
        let content = vec![Element::Text(text(&self.plan.locale, key, args))];
        let line = self.said(&content, private);
        if self.reply(None, content, None).is_ok() {
            self.lines.push((None, line));
        }
    }

    fn note_success(&mut self, script: &ScriptName) {
        if !self.community.breakers.is_empty() {
            self.community.breakers.remove(script);
        }
    }

    fn note_failure(
        &mut self,
        run: usize,
        script: &ScriptName,
        error: &ScriptError,
        notices: &mut Vec<Notice>,
    ) {
        let error = &self.placed(run, script, error);
        self.lines.push((Some(run), Line::Failed { error: error.clone() }));
        let limits = self.world.limits();
        let revision = self.plan.manifest(script).map_or("", |manifest| manifest.revision.as_str());
        let breaker = self.community.breakers.entry(script.clone()).or_default();
        if breaker.revision != revision {
            *breaker = Breaker { revision: revision.to_owned(), ..Breaker::default() };
        }
        breaker.failures += 1;
        let mut sentence = format!("{error} (event {})", self.event.id);
        if breaker.failures >= limits.breaker_failures {
            breaker.failures = 0;
            breaker.open_until = self.now + limits.breaker_pause_s * 1000;
            sentence.push_str(&format!(
                "; it failed {} times in a row and pauses here for {} min, the other scripts go on",
                limits.breaker_failures,
                limits.breaker_pause_s / 60
            ));
        }
        let community = Some(self.community.id);
        notices.push(Notice { community, text: sentence, is_problem: true });
    }

    /// A script that is ended from outside does not know where it was; its handler's place is
    /// known.
    fn placed(&self, run: usize, script: &ScriptName, error: &ScriptError) -> ScriptError {
        let mut error = error.clone();
        let handler = self.runs.get(run).map(|run| usize::from(run.handler));
        let manifest = self.plan.manifest(script);
        if error.line == 0
            && let Some(entry) = manifest.zip(handler).and_then(|(m, at)| m.handlers.get(at))
        {
            (error.line, error.column) = (entry.line, 1);
        }
        error
    }

    /// The core's own lines first, then those of each run in its order.
    fn take_lines(&mut self) -> Vec<Line> {
        let mut lines = std::mem::take(&mut self.lines);
        lines.sort_by_key(|(run, _)| *run);
        lines.into_iter().map(|(_, line)| line).collect()
    }

    fn outcome(&self, outcomes: &[RunOutcome], lines: &[Line]) -> Option<String> {
        let failed = outcomes.iter().any(|outcome| matches!(outcome.end, RunEnd::Failed(_)));
        if lines.is_empty() && !failed {
            return None;
        }
        let runs = self.runs.iter().zip(outcomes).map(|(run, outcome)| RunNote {
            script: &run.script,
            revision: self.plan.manifest(&run.script).map_or("", |m| m.revision.as_str()),
            handler: run.handler,
            end: &outcome.end,
            micros: outcome.micros,
        });
        let outcome = Outcome {
            bundle: self.plan.bundle(),
            runs: runs.collect(),
            lines,
            answers: &self.answers,
        };
        serde_json::to_string(&outcome).ok()
    }

    /// The author has asked that her words are not kept.
    fn wants_no_archive(&self) -> bool {
        let author = self.event.person.and_then(|person| self.community.members.get(&person));
        author.is_some_and(|member| member.tags.iter().any(|tag| tag == NO_ARCHIVE))
    }

    fn rows(&mut self, outcome: Option<String>, has_failed: bool) -> Box<TurnRows> {
        let mut rows = Box::new(TurnRows::new(event_row(&self.event, EventState::Done)));
        rows.event.outcome = outcome;
        if self.wants_no_archive() {
            rows.event.text = None;
        }
        let made = std::mem::take(&mut self.made);
        let mut members = made.members;
        members.sort_unstable();
        members.dedup();
        rows.members = members
            .into_iter()
            .filter_map(|person| {
                let member = self.community.members.get(&person)?;
                Some(member.row(self.community.id, person))
            })
            .collect();
        let touch = |person| touch_row(&self.community, person, self.counted);
        rows.touched = made.touched.into_iter().filter_map(touch).collect();
        rows.persons = std::mem::take(&mut self.new_persons);
        rows.accounts = made.accounts;
        rows.transfers = made.transfers;
        rows.ledger.lots = made.lots;
        rows.ledger.quotas = made.quotas;
        rows.ledger.campaigns = made.campaigns;
        rows.packets = made.packets;
        rows.shares = made.shares;
        rows.checkins = made.checkins;
        rows.rule_versions = made.rule_versions;
        rows.rule_acks = made.rule_acks;
        rows.warnings = made.warnings;
        rows.state = made.state;
        rows.timers = made.timers;
        rows.timers_gone = made.timers_gone;
        rows.posted = made.posted;
        rows.runs = self.posted(made.runs, has_failed);
        rows.routines = made.routines;
        rows.decisions = made.decisions;
        rows.audit = made.audit;
        rows.forgets = made.forgets;
        rows.scores.values = self.score_rows(made.scored);
        rows.scores.log = made.score_log;
        rows.scores.relations = made.relations;
        rows.scores.core_fans = made.core_fans;
        rows.scores.reviews = made.reviews;
        rows.deliveries = std::mem::take(&mut self.deliveries);
        rows
    }
}

impl Turn {
    /// What became of the routine of this turn: one that had nothing to say to a group does not count
    /// against the budget of the day, and one whose script failed did not run.
    fn posted(&mut self, mut runs: Vec<RunRow>, has_failed: bool) -> Vec<RunRow> {
        if self.routine.is_none() {
            return runs;
        }
        let is_post = |delivery: &Delivery| matches!(delivery.to, Destination::Group(_));
        let has_posted = self.deliveries.iter().any(is_post);
        let mine = self.event.id;
        let all = runs.iter_mut().chain(&mut self.community.runs);
        for run in all.filter(|run| run.event == mine && run.state == RAN) {
            if !has_posted {
                run.kind = None;
            }
            if has_failed {
                (run.state, run.reason) = (SKIPPED, Some("its script failed".to_owned()));
            }
        }
        runs
    }
}

fn touch_row(community: &Community, person: PersonId, counted: Option<Mark>) -> Option<TouchRow> {
    let member = community.members.get(&person)?;
    Some(TouchRow { community: community.id, person, messages: member.messages, counted })
}

/// A refusal in words; a role and a wait in it are worded too.
fn sentence(locale: &str, refusal: &Refusal) -> String {
    let mut data = refusal.data.clone();
    if let Some(Value::Text(role)) = data.get("role") {
        let worded = text(locale, &format!("role.{role}"), &ValueMap::new());
        data.insert("role".to_owned(), worded.into());
    }
    if let Some(Value::Int(seconds)) = data.get("seconds") {
        let wait = span(locale, seconds * 1000);
        data.insert("wait".to_owned(), wait.into());
    }
    text(locale, &format!("refuse.{}", refusal.code), &data)
}

/// The row of an event; the text of a message goes into the archive.
pub fn event_row(event: &crate::event::Event, state: EventState) -> EventRow {
    let envelope = &event.envelope;
    let text = match &envelope.kind {
        EventKind::Message { elements, .. } | EventKind::Edited { elements, .. } => {
            Some(plain_text(elements).into())
        }
        _ => None,
    };
    EventRow {
        id: event.id,
        community: event.community,
        group: event.group,
        person: event.person,
        account: envelope.account.clone(),
        key: envelope.key.clone(),
        kind: envelope.kind.word(),
        at: envelope.at,
        received_at: event.received_at,
        seed: event.seed,
        state,
        text,
        body: (state != EventState::Done).then(|| (**envelope).clone()),
        outcome: None,
    }
}

/// What an archive of no days keeps of a message: that it was.
pub fn forget_text(row: &mut EventRow, privacy: &PrivacyConfig) {
    if privacy.archive_days == 0 {
        row.text = None;
    }
}
