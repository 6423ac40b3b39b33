//! Arguments, then run.

fn main() {}
