//! What a message is judged by, as far as it is pure: word lists today.

pub mod views;
pub mod words;

pub use words::{WordLists, WordProblem};
