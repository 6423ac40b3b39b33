//! Routines: what happens at set times in a community, each time once, or with the reason why not.
//!
//! A routine waits as a timer of its community, so that it survives a restart and fires as an event
//! like any other; the turn of that event decides (`judge`, `posting`), notes the run and sets the
//! next timer, all in one commit. Everything here is pure.

pub mod cron;
pub mod judge;
pub mod posting;
pub mod spec;
pub mod spoken;
pub mod zone;

pub use cron::Cron;
pub use judge::{Judged, judge};
pub use posting::{Post, Posting, PostingSlot};
pub use spec::{Missed, Overlap, Routine, RoutineSpec, Times};
pub use zone::Slot;
