//! The workbench: what a manager uses before a rule goes live, and to see that all is well.

pub mod doctor;
pub mod reload;
pub mod starter;
pub mod transcript;
pub mod workspace;
