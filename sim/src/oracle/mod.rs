//! Oracles: what must hold, said again without the code that they judge.
//!
//! | | what | where |
//! |---|---|---|
//! | O1 | an accepted event has its effect once, and what was acknowledged is committed | [`crate::model`] |
//! | O2 | effects of a community follow the order in which its events were accepted | [`crate::model`], [`sends`] |
//! | O3 | points: nothing made, nothing lost, a share each | [`ledger`], [`database`] |
//! | O4 | what platforms show, by the promise of each | [`sends`] |
//! | O5 | times of routines, by brute force | [`slots`] |
//! | O6 | nothing is sent after its time | [`sends`] |
//! | O7 | nobody is answered long after | [`sends`] |
//! | O8 | no line of the audit log was changed, taken out or put in | [`database`] |
//! | O9 | rates and waits that platforms ask for | [`sends`] |
//! | O10 | the same seed writes the same log | `tests/determinism.rs` |

pub mod database;
pub mod ledger;
pub mod sends;
pub mod slots;
