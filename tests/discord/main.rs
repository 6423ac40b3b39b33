//! Discord, against one that the tests play themselves: strict about what it is told, and as
//! unreliable as the real one.
#![cfg(feature = "discord")]

mod bot;
mod calls;
mod reconnect;
mod rig;
mod sim;
mod tls;
mod twin;
#[path = "../world/mod.rs"]
mod world;
