//! What a message is judged by, as far as it is pure: word lists today.

pub mod scan;
pub mod views;
pub mod words;

pub use scan::{Found, Scan};
pub use words::{WordLists, WordProblem};
