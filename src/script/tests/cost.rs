//! What a handler costs; run by hand, `cargo test --release cost -- --ignored --nocapture`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc::unbounded_channel;

use super::{FakeHost, frame};
use crate::script::InProcessHost;
use crate::script::load::source;
use crate::script::protocol::{Bundle, RunEnd, ScriptHost, ScriptLimits, Work};

/// Enough that starting the threads does not count.
const EVENTS: usize = 50_000;

/// Microseconds an event of one script through the whole host, by number of threads.
fn measure(text: &str, threads: usize) -> f64 {
    let host = InProcessHost::with_threads(ScriptLimits::default(), threads).expect("threads");
    let source = source("s0", "scripts/s0.rhai", false, text);
    let sources = BTreeMap::from([(source.name.clone(), source)]);
    host.install(Arc::new(Bundle { number: 1, sources }));
    let work = |_| Work { frame: frame(&[("s0", 0)]), host: Box::new(FakeHost::default()) };
    let batch: Vec<Work> = (0..EVENTS).map(work).collect();
    let (done, mut answers) = unbounded_channel();
    let started = Instant::now();
    host.submit(batch, done);
    let mut finished = 0;
    while let Some(done) = answers.blocking_recv() {
        assert_eq!(done.answer.outcomes[0].end, RunEnd::Ok);
        finished += 1;
    }
    assert_eq!(finished, EVENTS);
    started.elapsed().as_secs_f64() * 1e6 / EVENTS as f64
}

#[test]
#[ignore = "a measurement"]
fn cost_of_a_trivial_handler() {
    let trivial = "on_message(|m| { if m.text.contains(\"签到\") { m.reply(\"好\"); } });";
    let loops = "on_message(|m| { let n = 0; for i in 0..100 { n += i; } });";
    for threads in [1, 2] {
        println!("{threads} threads: trivial {:.2} µs an event", measure(trivial, threads));
        println!("{threads} threads: 100 additions {:.2} µs an event", measure(loops, threads));
    }
}
