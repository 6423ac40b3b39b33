//! Budgets of a platform are kept: nothing is sent before the time that it asked for, nothing beyond
//! the rate that it states. The platform counts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qundao::adapter::{Outcome, Rate, RateScope, Request, SendSafety};
use qundao::clock::{Clock as _, TimeMs, VirtualClock};

use crate::scene::{MINUTE, START, Scene, done, echo};
use crate::world::Platform;

const RATES: &[Rate] = &[
    Rate {
        scope: RateScope::Account,
        count: 10,
        period: Duration::from_secs(10),
        drops_silently: false,
    },
    Rate {
        scope: RateScope::Destination,
        count: 5,
        period: Duration::from_secs(20),
        drops_silently: false,
    },
];

/// What a strict server keeps of every destination.
#[derive(Default)]
struct Server {
    closed_until: HashMap<String, TimeMs>,
    calls: Vec<(TimeMs, String)>,
    early: usize,
    turned_away: usize,
}

impl Server {
    /// Every seventh call is turned away for a while with a part of a millisecond.
    fn answer(&mut self, request: &Request, now: TimeMs) -> Outcome {
        let place = request.to.reference().to_string();
        if self.closed_until.get(&place).is_some_and(|until| now < *until) {
            self.early += 1;
        }
        self.calls.push((now, place.clone()));
        if self.calls.len().is_multiple_of(7) {
            self.turned_away += 1;
            let wait = Duration::from_micros(2_500_300 + 1000 * self.calls.len() as u64);
            self.closed_until.insert(place, now + wait.as_millis() as i64 + 1);
            return Outcome::NotSent { reason: "429".to_owned(), retry_after: Some(wait) };
        }
        done(self.calls.len())
    }

    /// The most calls within a period, of those that match.
    fn most(&self, period_ms: i64, is_one: impl Fn(&str) -> bool) -> usize {
        let times: Vec<TimeMs> =
            self.calls.iter().filter(|(_, place)| is_one(place)).map(|(at, _)| *at).collect();
        let within =
            |at: &TimeMs| times.iter().filter(|t| (*at..*at + period_ms).contains(t)).count();
        times.iter().map(within).max().unwrap_or_default()
    }
}

pub async fn counted() -> (usize, usize, usize, usize, Vec<String>) {
    let server = Arc::new(Mutex::new(Server::default()));
    let clock: Arc<Mutex<Option<Arc<VirtualClock>>>> = Arc::default();
    let (asked, time) = (server.clone(), clock.clone());
    let platform = Platform::with(RATES, SendSafety::None, move |request| {
        let now = time.lock().unwrap().as_ref().map_or(START, |clock| clock.now());
        asked.lock().unwrap().answer(request, now)
    });
    let mut scene = Scene::new(platform, vec![echo()]).await;
    *clock.lock().unwrap() = Some(scene.clock.clone());
    for n in 0..60 {
        scene.say(&format!("g{}", n % 4), "a", &format!("第 {n}")).await;
        scene.until(START + n * 300).await;
    }
    scene.until(START + 9 * MINUTE).await;
    let states = scene.states().await;
    let server = server.lock().unwrap();
    assert!(server.turned_away >= 8, "the budget was tried: {}", server.turned_away);
    let account = server.most(10_000, |_| true);
    let place = (0..4).map(|n| server.most(20_000, |place| place == format!("test:g{n}"))).max();
    (server.early, account, place.unwrap_or_default(), server.calls.len(), states)
}

#[tokio::test]
async fn nothing_is_sent_early_and_no_budget_is_exceeded() {
    let (early, account, place, calls, states) = counted().await;
    assert_eq!(early, 0, "of {calls} calls");
    assert!(account <= 10 && place <= 5, "{account} in ten seconds, {place} in twenty");
    assert!(states.iter().all(|state| state == "sent"), "{states:?}");
}
