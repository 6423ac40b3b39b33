//! Routines: their times against enumerators of others, and what becomes of each.

#[path = "../world/mod.rs"]
mod world;

mod brute;
mod croner;
mod drawn;
mod failed;
mod saved;
mod table;
mod told;
mod year;
