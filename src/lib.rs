//! Qundao: one bot that runs communities on the chat platforms where they already live.
//!
//! The map, in the order in which an event travels (ARCHITECTURE.md has the picture and the
//! invariants):
//!
//! - [`id`], [`clock`], [`value`], [`event`], [`effect`], [`refusal`], [`report`]: the words everything is said in
//! - [`config`]: what was typed → what was meant, with diagnostics and reload
//! - [`adapter`]: one folder a platform, behind one contract
//! - [`intake`] → [`lane`] → [`dispatch`] → [`script`] → [`turn`] → [`commit`] → [`outbox`]: the turn
//! - `child`: the process in which scripts run, and its supervisor
//! - [`community`], [`ledger`], [`moderation`]: the domain, pure
//! - [`routine`]: what happens at set times: cron, time zones, missed runs, posting budget
//! - [`store`]: the contract of the database, and SQLite behind it
//! - [`news`]: feeds, fetched once for all communities and kept fresh for the scripts that ask
//! - [`text`]: every sentence a member can read, in each language
//! - [`planted`]: faults that tests plant; [`blocking`]: work that needs a thread
//! - [`bot`]: all of it wired together
//! - [`workbench`]: check, test, doctor: what a manager uses before a rule goes live
//! - [`cli`]: the command line
#![warn(missing_docs)]

pub mod id;
pub mod clock;
pub mod zone;
pub mod value;
pub mod event;
pub mod effect;
pub mod refusal;
pub mod report;
pub mod config;
pub mod adapter;
pub mod intake;
pub mod lane;
pub mod dispatch;
pub mod script;
#[cfg(unix)]
pub mod child;
pub mod turn;
pub mod commit;
pub mod outbox;
pub mod community;
pub mod ledger;
pub mod moderation;
pub mod news;
pub mod routine;
pub mod store;
pub mod text;
pub mod planted;
pub mod blocking;
pub mod tls;
pub mod bot;
pub mod workbench;
pub mod cli;
