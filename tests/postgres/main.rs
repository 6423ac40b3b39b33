//! What only PostgreSQL can do wrong: servers that go away, answers that are lost, two processes on
//! one database, transactions that meet.
//!
//! `QUNDAO_CYCLES` makes the loops longer; `QUNDAO_TEST_SEED` repeats a run.
#![cfg(unix)]

#[path = "../world/mod.rs"]
mod world;

mod copy;
mod doubt;
mod home;
mod lease;
mod meeting;
mod naive;
mod program;
mod proxy;
mod restarts;
mod texts;
mod turns;

/// How often a loop goes round.
fn cycles(default: usize) -> usize {
    let said = std::env::var("QUNDAO_CYCLES").ok();
    said.map_or(default, |said| said.parse().expect("QUNDAO_CYCLES is a number"))
}

/// Chance that can be repeated.
fn chance(of: &str) -> rand_chacha::ChaCha8Rng {
    use rand_chacha::rand_core::SeedableRng as _;
    let said = std::env::var("QUNDAO_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos() as u64;
    let seed = said.unwrap_or(now);
    println!("{of}: QUNDAO_TEST_SEED={seed}");
    rand_chacha::ChaCha8Rng::seed_from_u64(seed)
}
