//! Honesty about what was sent: what nobody knows is told as such and decided by somebody, places that
//! refuse are left alone, what holds up others steps aside, long messages go whole or end where they
//! broke.

#[path = "../program/mod.rs"]
mod program;
#[path = "../world/mod.rs"]
mod world;

mod aside;
mod chunks;
mod doubt;
mod orders;
mod parked;
mod rates;
mod scene;
