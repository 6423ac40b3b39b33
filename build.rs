//! How the program is linked, where it matters: on Linux with packed relocations.
//!
//! The loader reads every relocation in every process, and the bot is three of them: unpacked they
//! are a megabyte and a half in each. See <https://maskray.me/blog/2021-10-31-relative-relocations-and-relr>.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = |key: &str| env::var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
    // Loaders of glibc know them since 2.36; linkers that do not know the word warn and go on.
    if target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
