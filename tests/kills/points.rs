//! The real program ends at each named point that an event of OneBot passes, the first time or later.

use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use qundao::planted::Point;

use crate::host::{Host, has_ended};
use crate::{ONE_AT_A_TIME, Run, cycles, in_time, seed};

/// Deaths at each point, unless `QUNDAO_CYCLES` says otherwise.
const DEATHS: usize = 1;
/// OneBot is told of nothing, and the others wait for an hour or for thousands of messages.
const POINTS: [Point; 8] = [
    Point::Received,
    Point::Turned,
    Point::BeforeCommit,
    Point::AfterCommit,
    Point::BeforeSend,
    Point::AfterSend,
    Point::Settled,
    Point::BeforeCounts,
];
/// How late a death is at most.
const LATEST: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_at_every_point_loses_no_score_and_doubles_no_answer() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut run = Run::start(seed()).await;
    for round in 0..cycles(DEATHS) {
        for point in POINTS {
            run.talk(round).await;
            if let Err(wrong) = run.host.stop().await {
                run.fail(&wrong);
            }
            run.sim.until_connected(0).await;
            let at = format!("{}:{}", point.word(), 1 + run.chance.below(LATEST));
            die_at(&mut run, &at).await;
        }
    }
    run.end().await;
}

async fn die_at(run: &mut Run, at: &str) {
    run.place = format!("seed {}, {at}", run.seed);
    let (host, _) = Host::try_start(run.folder.path(), &[("QUNDAO_DIE_AT", at)]).await;
    run.host = host;
    // It may be gone before it was heard, by what it took up of the life before.
    let _ = run.sim.connect(run.port, "/", crate::sim::socket::Part::Universal).await;
    let (sim, id) = (run.sim.clone(), run.host.id());
    // What is said before it listens is lost, and would be waited for in vain.
    let listens = async {
        while !sim.is_heard() && !has_ended(id) {
            tokio::task::yield_now().await;
        }
    };
    if in_time(listens).await.is_none() {
        run.fail("it does not listen");
    }
    run.traffic.forgive();
    let (sim, id) = (run.sim.clone(), run.host.id());
    let was_heard = std::cell::Cell::new(false);
    let is_over = |_: &crate::traffic::Traffic| {
        let is_connected = sim.connections() > 0;
        was_heard.set(was_heard.get() || is_connected);
        (was_heard.get() && !is_connected) || has_ended(id)
    };
    if in_time(run.traffic.until(is_over)).await.is_none() {
        run.fail("the point was never reached");
    }
    match run.host.ended().await {
        Ok(WaitStatus::Signaled(_, Signal::SIGABRT, _)) => {}
        ended => run.fail(&format!("it ended with {ended:?}")),
    }
    run.again().await;
}
