//! The script side: engine, API, manifest, lint, reload.

pub mod protocol;
pub mod duration;
