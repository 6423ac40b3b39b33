//! The bot is asked to stop in the middle of things: it ends well and soon, and nothing that was begun
//! is lost or done twice.

use std::time::{Duration, Instant};

use nix::sys::wait::WaitStatus;

use crate::host::Host;
use crate::{ONE_AT_A_TIME, Run, cycles, seed};

/// How often, unless `QUNDAO_CYCLES` says otherwise.
const STOPS: usize = 10;
/// `shutdown_s`, and what a busy machine adds.
const SOON: Duration = Duration::from_secs(17);
/// A second signal does not wait for anything.
const AT_ONCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_asked_to_stop_ends_well_at_any_moment() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut run = Run::start(seed()).await;
    let (stops, mut longest) = (cycles(STOPS), Duration::ZERO);
    for round in 0..stops {
        run.talk(round).await;
        let began = Instant::now();
        if let Err(wrong) = run.host.stop().await {
            run.fail(&wrong);
        }
        longest = longest.max(began.elapsed());
        run.again().await;
    }
    assert!(longest < SOON, "one stop took {longest:?}");
    println!("{stops} stops, the longest took {longest:?}");
    run.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once_what_waits_for_answers() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut run = Run::start(seed()).await;
    run.answered(20).await;
    // Everything is done, and nobody says so.
    run.sim.hold_answers();
    let sim = run.sim.clone();
    let before = sim.world().messages.len();
    run.traffic.until(|_| sim.world().messages.len() > before + 40).await;
    run.host.ask_to_stop().unwrap();
    // The first is noticed before the second comes: the port closes.
    run.sim.until_connected(0).await;
    let began = Instant::now();
    run.host.ask_to_stop().unwrap();
    let ended = match run.host.ended().await {
        Ok(ended) => ended,
        Err(wrong) => run.fail(&wrong),
    };
    assert!(matches!(ended, WaitStatus::Exited(_, 0 | 1)), "{ended:?}");
    assert!(began.elapsed() < AT_ONCE, "it took {:?}", began.elapsed());
    run.sim.lose_answers();
    run.again().await;
    run.end().await;
}

impl Run {
    /// The bot has ended: its file must hold, and it starts again.
    pub async fn again(&mut self) {
        self.sim.until_connected(0).await;
        self.look().await;
        self.host = Host::start(self.folder.path()).await;
        self.connect().await;
    }
}
