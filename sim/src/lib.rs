//! The whole bot, as it is in production, on a simulated world: chats, platforms with promises of
//! their own, a disk that fails, clocks that jump, processes that end.
//!
//! - [`draw`], [`rates`], [`cast`], [`op`]: what a seed means
//! - [`world`], [`clock`], [`platform`], [`model`]: what outlives a process
//! - [`store`], [`adapter`], [`host`], [`scripts`]: what a process is given
//! - [`process`], [`deed`]: what happens
//! - [`oracle`]: what must hold
//! - [`run`], [`shrink`]: seeds, one or many
#![warn(missing_docs)]

pub mod adapter;
pub mod block;
pub mod cast;
pub mod clock;
pub mod deed;
pub mod draw;
pub mod host;
pub mod model;
pub mod op;
pub mod oracle;
pub mod platform;
pub mod process;
pub mod rates;
pub mod run;
pub mod scripts;
pub mod shrink;
pub mod store;
pub mod told;
pub mod world;
