//! Live reload and the end of a bot's life, with the library: a folder on the disk, a bot that
//! runs on it, and a platform that only writes down what it is told.

mod features;
mod files;
mod held;
mod stage;
mod stop;
mod versions;
