//! Work that would hold up its thread goes to one that may block; in a simulation it is done on the
//! spot, so that nothing depends on which thread is faster.

use std::cell::Cell;

use tokio::task::{JoinError, spawn_blocking};

thread_local! {
    static ON_THE_SPOT: Cell<bool> = const { Cell::new(false) };
}

/// Says for this thread whether work is done on the spot.
pub fn on_the_spot(yes: bool) {
    ON_THE_SPOT.set(yes);
}

/// Does the work and waits for it.
///
/// # Errors
/// It panicked.
pub async fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    if ON_THE_SPOT.get() { Ok(work()) } else { spawn_blocking(work).await }
}
