//! What is kept of people: how it is told, taken away and forgotten by itself, and the audit log
//! that shows whether anybody tampered.

#[path = "../program/mod.rs"]
mod program;
#[path = "../world/mod.rs"]
mod world;

mod chain;
mod cli;
mod forget;
mod keep;
mod running;
mod schema;
