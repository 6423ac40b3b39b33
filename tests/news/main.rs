//! Daily news against hostile addresses, hostile feeds, odd feeds, and a bot that is restarted.

#[path = "../world/mod.rs"]
mod world;

mod addresses;
mod bombs;
mod desk;
#[cfg(feature = "planted")]
mod planted;
mod server;
mod shapes;
mod web;
