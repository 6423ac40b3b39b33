//! A file system for SQLite that keeps apart what was synced, for tests: at a power cut it tears or
//! loses the rest, and it fails at the call that a test names.
//!
//! Files lie where the system has them and read as they were written, so that a database works as
//! always. Beside each a [`Disk`] remembers what would be left of it: what was synced, and every
//! write since. A cut puts that into another folder, each sector of each write kept, lost or torn by
//! chance, while the database goes on. Nothing waits for the real disk.
//!
//! What this cannot show: a disk that says that it has synced and has not, and whatever another
//! database does.

mod chance;
mod image;
mod vfs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use chance::Chance;
use image::Image;

/// A file system with a name, for `SqliteConnectOptions::vfs`.
#[derive(Debug)]
pub struct Disk {
    name: String,
    shared: Arc<Shared>,
}

/// What a call is told instead of being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails, whatever it is.
    Io,
    /// There is no room: writes fail, everything else works.
    Full,
}

/// What lies on the disk at a moment.
pub struct Platter<'a>(&'a BTreeMap<PathBuf, Image>);

/// What happens at a call.
type Action = Box<dyn FnOnce(&Platter<'_>) + Send>;

#[derive(Default)]
struct State {
    files: BTreeMap<PathBuf, Image>,
    calls: u64,
    /// Calls from the first on, as many as the second says.
    fault: Option<(u64, u64, Fault)>,
    /// How often a call was told that it failed.
    failed: u64,
    actions: BTreeMap<u64, Vec<Action>>,
}

#[derive(Default)]
struct Shared(Mutex<State>);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    /// A new one, known to SQLite by its name from now on.
    ///
    /// # Panics
    /// SQLite refuses it, which it has no reason to.
    pub fn new() -> Self {
        let shared: Arc<Shared> = Arc::default();
        let name = vfs::register(shared.clone());
        Self { name, shared }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Calls that were made so far: opening, reading, writing, cutting off, syncing, deleting.
    pub fn calls(&self) -> u64 {
        self.shared.state().calls
    }

    /// Does something when so many more calls have been made, before the next one is. What is on the
    /// disk stands still meanwhile.
    pub fn after(&self, calls: u64, action: impl FnOnce(&Platter<'_>) + Send + 'static) {
        let mut state = self.shared.state();
        let at = state.calls + calls;
        state.actions.entry(at).or_default().push(Box::new(action));
    }

    /// Does something now.
    pub fn now(&self, action: impl FnOnce(&Platter<'_>)) {
        action(&Platter(&self.shared.state().files));
    }

    /// After so many more calls, so many calls fail.
    pub fn fail(&self, after: u64, count: u64, fault: Fault) {
        let mut state = self.shared.state();
        state.fault = Some((state.calls + after, count, fault));
    }

    /// From now on everything works again.
    pub fn mend(&self) {
        self.shared.state().fault = None;
    }

    /// How often something failed.
    pub fn failed(&self) -> u64 {
        self.shared.state().failed
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // SQLite keeps the name; what it remembers is not needed.
        let mut state = self.shared.state();
        state.files.clear();
        state.actions.clear();
    }
}

impl Platter<'_> {
    /// Writes what a power cut would leave into a folder, which is made.
    ///
    /// # Panics
    /// The folder cannot be written.
    pub fn cut(&self, chance: &mut Chance, into: &Path) {
        std::fs::create_dir_all(into).expect("a folder for what is left");
        // Each cut has a luck of its own: from nothing is left to everything is.
        let luck = chance.below(5) as u32 * 25;
        for (path, image) in self.0 {
            if let Some(bytes) = image.left(chance, luck) {
                let name = path.file_name().expect("a file has a name");
                std::fs::write(into.join(name), bytes).expect("writable");
            }
        }
    }

    /// Writes that were not synced.
    pub fn unsynced(&self) -> usize {
        self.0.values().map(Image::unsynced).sum()
    }
}
