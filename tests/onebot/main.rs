//! QQ by way of OneBot v11, against an implementation that the tests play themselves: strict about
//! what it is told, and as unreliable as real ones.

mod accounts;
mod bot;
mod doubt;
mod fixtures;
mod gap;
mod guard;
mod liveness;
mod python;
mod reconnect;
mod rig;
mod sim;
mod tls;
mod transports;
#[path = "../world/mod.rs"]
mod world;
