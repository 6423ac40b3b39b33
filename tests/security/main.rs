//! Who may do what through the bot, how much harm a mistake can do, and where no secret may stand.

#[path = "../program/mod.rs"]
mod program;
#[path = "../world/mod.rs"]
mod world;

mod canary;
mod matrix;
mod removals;
