//! Arguments, then run.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    qundao::cli::Args::parse().run()
}
