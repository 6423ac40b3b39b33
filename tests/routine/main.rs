//! Routines: their times against enumerators of others, and what becomes of each.

mod brute;
mod croner;
mod drawn;
mod table;
