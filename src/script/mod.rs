//! The script side: engine, API, manifest, lint, reload.
//!
//! The way of a script: `load` reads it, `check` compiles it aside (`syntax` words what the
//! parser says), `manifest` collects what its top level registers and `lint` walks it; once in
//! force, `host` threads run it through a `runner`, under `limits`. What scripts can say is
//! one table, `api`.

pub mod protocol;
pub mod api;
pub mod check;
pub mod diagnostic;
pub mod duration;
pub mod host;
pub mod lint;
pub mod load;
pub mod pattern;
mod containers;
mod convert;
mod engine;
mod fault;
mod limits;
mod manifest;
mod outcome;
pub(crate) mod rota;
mod runner;
mod session;
mod sorting;
mod strings;
mod syntax;
mod types;
mod weight;
#[cfg(test)]
mod tests;

pub(crate) use api::every::check as times_of_script;
pub use host::{InProcessHost, InlineHost};
#[cfg(unix)]
pub(crate) use limits::wall_limit;
#[cfg(unix)]
pub(crate) use runner::{Observer, Runner};
