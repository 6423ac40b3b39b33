//! The process that runs scripts, and its supervisor.
//!
//! No limit that Rhai offers keeps a hostile script from ending its process (a stack that
//! overflows, an allocation that fails, a native loop that does not come back). So the process
//! that holds tokens and data never runs one: scripts live in a child of the same binary that has
//! an empty environment, no file, no socket but its pipe, and little memory. Whatever ends it
//! costs its own event; all others are run again on a warm spare, because they had committed
//! nothing.
//!
//! The way of a frame: [`ChildHost`] → `supervisor` → `wire` → `inside` → a script thread, and
//! back. `deaths` is what happens when a process ends, `strikes` remembers who ended it.

mod checker;
mod confine;
mod flight;
mod host;
mod inside;
mod process;
mod strikes;
mod supervisor;
mod wire;

pub use host::{ChildHost, Figures, Program};
pub use inside::main;
