//! Faults that tests plant: points at which the process ends, and bugs that a suite must find.
//!
//! A suite that has never failed proves little. With the feature `planted`, `QUNDAO_DIE_AT` ends the
//! process at a [`Point`], and `QUNDAO_PLANT` (or `plant`) switches a [`Bug`] on; without it both
//! questions are constants and leave nothing in the program. TESTING.md says which suite finds what.

/// Declares an enum whose variants have names that can be typed.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$what:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$what])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The one with this name.
            pub fn named(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.word() == word)
            }
        }
    };
}

named! {
    /// Where the process can be made to end, in the order of an event's way.
    Point {
        /// An event was received, nothing of it is known to the database.
        Received = "received",
        /// A turn has run, its rows wait for a commit.
        Turned = "turned",
        /// A batch is about to be committed.
        BeforeCommit = "before_commit",
        /// A batch was committed, nobody has heard of it.
        AfterCommit = "after_commit",
        /// The platform was told that an event was accepted.
        Acked = "acked",
        /// A delivery is recorded as under way, the adapter does not have it yet.
        BeforeSend = "before_send",
        /// The platform has answered, the outcome is not recorded.
        AfterSend = "after_send",
        /// The outcome of a delivery was recorded.
        Settled = "settled",
        /// Counts are about to be written behind their events.
        BeforeCounts = "before_counts",
        /// The log is about to be copied into the file.
        BeforeCheckpoint = "before_checkpoint",
        /// A timer fell due, its event is on its way.
        TimerDue = "timer_due",
        /// Old rows are about to be forgotten.
        Housekeeping = "housekeeping",
        /// The bot is stopping, its last commits are under way.
        Stopping = "stopping",
    }
}

named! {
    /// Mistakes that somebody could make.
    Bug {
        /// Repeats of an event are handled again.
        SkipDedupe = "skip_dedupe",
        /// The platform is told before the commit.
        AckBeforeCommit = "ack_before_commit",
        /// A process that lost its lease commits all the same.
        DropFence = "drop_fence",
        /// Transactions begin as readers.
        DeferredBegin = "deferred_begin",
        /// Commits do not wait for the disk.
        SynchronousOff = "synchronous_off",
        /// A delivery leaves before it is recorded as under way.
        SendBeforeSending = "send_before_sending",
        /// All deliveries of an event share one key.
        SharedNonce = "shared_nonce",
        /// One member takes several shares of a packet.
        GrabTwice = "grab_twice",
        /// A packet's refund has no key of its own.
        RefundWithoutKey = "refund_without_key",
        /// Of two equal times on a day that clocks go back, both run.
        FoldIgnored = "fold_ignored",
        /// A reload plans every routine once more.
        RoutinesDoubled = "routines_doubled",
        /// What may have arrived is sent again, whatever its policy.
        RetryUnknown = "retry_unknown",
        /// Old events are answered like new ones.
        StalenessOff = "staleness_off",
        /// Only addresses that are typed as numbers are checked.
        LiteralAddressOnly = "literal_address_only",
        /// A wait that a platform asks for is not kept.
        EarlyRetry = "early_retry",
        /// A failing handler's changes stay.
        SavepointOff = "savepoint_off",
        /// Expired deliveries are sent.
        ExpiryOff = "expiry_off",
    }
}

/// Ends the process here, without a farewell, if a test asked for it: `QUNDAO_DIE_AT=point` or
/// `point:n` for the n-th time.
#[cfg(feature = "planted")]
pub fn reach(point: Point) {
    live::reach(point);
}

/// Nothing is planted in this build.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn reach(_: Point) {}

/// Is this bug planted?
#[cfg(feature = "planted")]
pub fn has(bug: Bug) -> bool {
    live::has(bug)
}

/// Nothing is planted in this build.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn has(_: Bug) -> bool {
    false
}

/// Plants a bug in this process, or takes it (and any other) away.
#[cfg(feature = "planted")]
pub fn plant(bug: Option<Bug>) {
    live::plant(bug);
}

#[cfg(feature = "planted")]
mod live {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{Bug, Point};

    /// No bug. Numbers of bugs are one more than their places.
    const NONE: u64 = 0;
    /// What the environment says was not asked yet.
    const UNKNOWN: u64 = u64::MAX;

    static BUG: AtomicU64 = AtomicU64::new(UNKNOWN);
    static DEATH: OnceLock<Option<(Point, u64)>> = OnceLock::new();
    static REACHED: AtomicU64 = AtomicU64::new(0);

    pub(super) fn plant(bug: Option<Bug>) {
        BUG.store(bug.map_or(NONE, |bug| bug as u64 + 1), Ordering::SeqCst);
    }

    pub(super) fn has(bug: Bug) -> bool {
        if BUG.load(Ordering::Relaxed) == UNKNOWN {
            plant(std::env::var("QUNDAO_PLANT").ok().map(|word| {
                Bug::named(&word).unwrap_or_else(|| panic!("QUNDAO_PLANT={word}: no such bug"))
            }));
        }
        BUG.load(Ordering::Relaxed) == bug as u64 + 1
    }

    pub(super) fn reach(point: Point) {
        let Some((wanted, nth)) = DEATH.get_or_init(death) else { return };
        if *wanted == point && REACHED.fetch_add(1, Ordering::SeqCst) + 1 == *nth {
            // As SIGKILL would: no destructor, no buffer written.
            std::process::abort();
        }
    }

    fn death() -> Option<(Point, u64)> {
        let said = std::env::var("QUNDAO_DIE_AT").ok()?;
        let (word, nth) = said.split_once(':').unwrap_or((&said, "1"));
        let point =
            Point::named(word).unwrap_or_else(|| panic!("QUNDAO_DIE_AT={said}: no such point"));
        let nth = nth.parse().unwrap_or_else(|_| panic!("QUNDAO_DIE_AT={said}: not a number"));
        Some((point, nth))
    }
}
