//! A platform as it is between two connections: what it has to tell, what it was told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use qundao::adapter::{Capabilities, Rate, RateScope, Redelivery, Request, Risk, RoleSource};
use qundao::adapter::{SendSafety, Support, Visibility};
use qundao::clock::TimeMs;
use qundao::effect::Call;
use qundao::event::{Element, Envelope, EventKind};
use tokio::sync::Notify;

use crate::cast::{ACKED, QUIET, RESUME};
use crate::draw::Draw;
use crate::rates::Rates;

/// For so long the resuming platform knows a nonce.
pub const WINDOW_MS: i64 = 120_000;
/// An event that was not acknowledged comes again after so long, ms: doubled up to the last.
const AGAIN_MS: (i64, i64) = (10_000, 120_000);
const WEEK_MS: i64 = 7 * 24 * 3_600_000;

/// What became of the calls with one key.
#[derive(Clone, Debug, Default)]
pub struct Effect {
    /// Calls.
    pub tries: u32,
    /// Messages that stand for it.
    pub shown: u32,
    /// When the first was made.
    pub first_at: TimeMs,
    /// What the platform calls it.
    pub message: String,
    /// The latest try ended in doubt.
    pub in_doubt: bool,
}

/// One platform.
pub struct Platform {
    index: usize,
    queue: BTreeMap<(TimeMs, u64), Envelope>,
    number: u64,
    /// Nobody is connected until then.
    pub away_until: TimeMs,
    /// Events that were not acknowledged, and how often they came.
    unacked: BTreeMap<Arc<str>, (Envelope, u32)>,
    /// Everything that ever happened, for who plays it again.
    pub past: Vec<Envelope>,
    /// Something may be due.
    pub changed: Arc<Notify>,
    /// Calls by their key.
    pub effects: BTreeMap<String, Effect>,
    /// The value of the latest button in a group.
    pub buttons: BTreeMap<String, (String, String)>,
    /// Messages so far.
    pub messages: u64,
}

impl Platform {
    /// A platform on which nothing has happened.
    pub fn new(index: usize) -> Self {
        Self {
            index,
            queue: BTreeMap::new(),
            number: 0,
            away_until: 0,
            unacked: BTreeMap::new(),
            past: Vec::new(),
            changed: Arc::default(),
            effects: BTreeMap::new(),
            buttons: BTreeMap::new(),
            messages: 0,
        }
    }

    /// Something happened there. Gives how many faults that took.
    pub fn happen(
        &mut self,
        seed: u64,
        rates: &Rates,
        mut envelope: Envelope,
        now: TimeMs,
        is_up: bool,
    ) -> u64 {
        let mut draw = Draw::new(seed, &format!("in {} {}", self.index, envelope.key));
        self.past.push(envelope.clone());
        let is_away = now < self.away_until || !is_up;
        let is_message = matches!(envelope.kind, EventKind::Message { .. });
        let mut first = now;
        let mut faults = 0;
        match self.index {
            QUIET if is_away || draw.chance(rates.lost) => return 1,
            // A history has messages and nothing else.
            RESUME if !is_up && !is_message => return 1,
            RESUME if !is_up => envelope.backfilled = true,
            _ => {}
        }
        first = first.max(self.away_until);
        if draw.chance(rates.reordered) {
            first += draw.between(1, 5000);
            faults += 1;
        }
        if draw.chance(rates.delayed) {
            first += draw.between(0, WEEK_MS);
            faults += 1;
        }
        if draw.chance(rates.repeated) {
            for _ in 0..draw.between(1, rates.repeats_max as i64) {
                let later = *draw.pick(&[0, 1, 3000, 200_000, 8 * 3_600_000, WEEK_MS]);
                let later = first + draw.between(0, later.max(1));
                self.put(later, envelope.clone());
                faults += 1;
            }
        }
        if self.index == ACKED {
            self.unacked.insert(envelope.key.clone(), (envelope.clone(), 0));
        }
        self.put(first, envelope);
        faults
    }

    /// Brings an event at a time.
    pub fn put(&mut self, at: TimeMs, envelope: Envelope) {
        self.number += 1;
        self.queue.insert((at, self.number), envelope);
        self.changed.notify_one();
    }

    /// What is due, and how long until the next.
    pub fn take_due(&mut self, now: TimeMs) -> (Vec<Envelope>, Option<Duration>) {
        if now < self.away_until {
            return (Vec::new(), Some(Duration::from_millis((self.away_until - now) as u64)));
        }
        let later = self.queue.split_off(&(now + 1, 0));
        let due: Vec<Envelope> = std::mem::replace(&mut self.queue, later).into_values().collect();
        let next = self.queue.keys().next();
        (due, next.map(|(at, _)| Duration::from_millis((at - now).max(1) as u64)))
    }

    /// The connection was lost: what was on its way to a platform that tells nothing twice is lost.
    pub fn disconnect(&mut self, until: TimeMs) {
        self.away_until = self.away_until.max(until);
        self.changed.notify_one();
    }

    /// The process ended: what it had taken and not acknowledged comes again.
    pub fn process_ended(&mut self) {
        self.changed = Arc::default();
    }

    /// A process begins: everything that nobody has acknowledged is due.
    pub fn process_began(&mut self, now: TimeMs) {
        let again: Vec<Envelope> = self.unacked.values().map(|(it, _)| it.clone()).collect();
        for envelope in again {
            let is_queued = self.queue.values().any(|queued| queued.key == envelope.key);
            if !is_queued {
                self.put(now + AGAIN_MS.0, envelope);
            }
        }
    }

    /// An event was acknowledged.
    pub fn acked(&mut self, key: &str) {
        self.unacked.remove(key);
    }

    /// It was not, and comes again.
    pub fn not_acked(&mut self, key: &str, now: TimeMs) {
        let Some((envelope, tries)) = self.unacked.get_mut(key) else { return };
        *tries += 1;
        let wait = (AGAIN_MS.0 << (*tries).min(5)).min(AGAIN_MS.1);
        let envelope = envelope.clone();
        self.put(now + wait, envelope);
    }

    /// Everything that is still to come comes now.
    pub fn hurry(&mut self, now: TimeMs) {
        self.away_until = 0;
        let all = std::mem::take(&mut self.queue);
        for (_, envelope) in all {
            self.put(now, envelope);
        }
    }

    /// Nothing is on its way and nothing waits to be acknowledged.
    pub fn is_quiet(&self) -> bool {
        self.queue.is_empty() && self.unacked.is_empty()
    }

    /// How much is on its way.
    pub fn pending(&self) -> (usize, usize) {
        (self.queue.len(), self.unacked.len())
    }

    /// Does what a call asks; gives the platform's id and whether a new message appeared.
    pub fn perform(&mut self, request: &Request, now: TimeMs) -> (Option<String>, bool) {
        let place = request.to.reference().local().to_owned();
        let (content, makes) = match &request.call {
            Call::Send { content, .. } => (content, true),
            Call::Card { content, message, .. } => (content, message.is_none()),
            _ => return (None, false),
        };
        if let Some(value) = content.iter().find_map(button) {
            let message = format!("{}-{}", self.index, self.messages + 1);
            self.buttons.insert(place, (message, value));
        }
        if !makes {
            return (None, false);
        }
        let effect = self.effects.entry(request.key.clone()).or_default();
        let is_known = self.index == RESUME && effect.shown > 0;
        if is_known && now - effect.first_at < WINDOW_MS {
            return (Some(effect.message.clone()), false);
        }
        self.messages += 1;
        effect.shown += 1;
        if effect.shown == 1 {
            effect.first_at = now;
            effect.message = format!("{}-{}", self.index, self.messages);
        }
        (Some(effect.message.clone()), true)
    }
}

fn button(element: &Element) -> Option<String> {
    match element {
        Element::Button { value, .. } => Some(value.clone()),
        _ => None,
    }
}

/// Whether a call makes a message.
pub fn makes_message(call: &Call) -> bool {
    matches!(call, Call::Send { .. } | Call::Card { message: None, .. })
}

/// Rates of a platform.
pub fn rates(index: usize) -> Vec<Rate> {
    let rate = |scope, count, period_s| Rate {
        scope,
        count,
        period: Duration::from_secs(period_s),
        drops_silently: false,
    };
    match index {
        QUIET => vec![rate(RateScope::Account, 30, 30), rate(RateScope::Destination, 20, 60)],
        RESUME => vec![rate(RateScope::Destination, 5, 5)],
        _ => Vec::new(),
    }
}

/// What a platform can do.
pub fn capabilities(index: usize) -> Capabilities {
    let actions: &[&str] = match index {
        QUIET => &["delete", "react", "mute", "unmute", "kick", "ban"],
        _ => &["edit", "delete", "react", "pin", "mute", "unmute", "kick", "ban", "private"],
    };
    Capabilities {
        actions,
        mute_max: None,
        elements: &[("text", Support::Native), ("button", Support::Native)],
        text_chars: 2000,
        rates: rates(index),
        proactive: true,
        reply_window: None,
        visibility: Visibility::All,
        send_safety: match index {
            QUIET => SendSafety::None,
            RESUME => SendSafety::Idempotent { window: Duration::from_millis(WINDOW_MS as u64) },
            _ => SendSafety::ReadBack,
        },
        redelivery: if index == ACKED { Redelivery::AtLeastOnce } else { Redelivery::AtMostOnce },
        roles: RoleSource::Inline,
        risk: Risk::Official,
    }
}
