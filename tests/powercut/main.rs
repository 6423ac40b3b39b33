//! Power cuts and a failing disk, by a file system of our own under SQLite (`crates/powercut`): what
//! was acknowledged is there after every cut, the file is whole, the ledger verifies, and the bot goes
//! on by itself when the disk does.
//!
//! Unlike a killed process, a power cut takes what was written and not synced. What this cannot show:
//! a disk that says that it has synced and has not.

#[path = "../kill9/books.rs"]
mod books;
mod cuts;
mod errors;
mod full;
mod load;
#[path = "../kill9/traffic.rs"]
mod traffic;
mod writers;
#[path = "../world/mod.rs"]
mod world;

use std::path::Path;
use std::sync::Arc;

use powercut::Disk;
use qundao::store::Store;
use qundao::store::StoreError;
use qundao::store::sqlite::Sqlite;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::Mutex;

/// A planted bug is in the whole process, and time is shared.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// What `QUNDAO_CYCLES` says, or less.
fn cycles(otherwise: usize) -> usize {
    std::env::var("QUNDAO_CYCLES").ok().and_then(|n| n.parse().ok()).unwrap_or(otherwise)
}

/// The same choices again with `QUNDAO_TEST_SEED`.
fn seed() -> u64 {
    let seed = std::env::var("QUNDAO_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(u64::from(std::process::id()));
    println!("seed {seed}");
    seed
}

/// The real store on a disk of ours.
async fn open(file: &Path, disk: &Disk) -> Result<Arc<dyn Store>, StoreError> {
    let options = SqliteConnectOptions::new().vfs(disk.name().to_owned());
    Ok(Arc::new(Sqlite::open_with(file, options).await?))
}
