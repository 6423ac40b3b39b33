//! Routines: what happens at set times in a community, each time once, or with the reason why not.

pub mod cron;
pub mod zone;

pub use cron::Cron;
pub use zone::Slot;
