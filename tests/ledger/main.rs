//! The ledger, whole: against a simple model over random histories, through the bot, frozen where it
//! does not hold, and verified by anybody.

#[path = "../program/mod.rs"]
mod program;
#[path = "../world/mod.rs"]
mod world;

mod books;
mod frozen;
mod large;
mod lines;
mod model;
mod outside;
mod packets;
