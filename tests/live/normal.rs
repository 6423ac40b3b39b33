//! What is normal for the program when nobody attacks it, and waiting until it is so again.

use std::ops::RangeInclusive;
use std::time::Instant;

use crate::load::Load;
use crate::processes::Processes;
use crate::program::{PATIENCE, Program};

/// The main child and the spare.
pub const CHILDREN: usize = 2;
/// What the host may have gained when an attack is over, MiB: it holds what members and scripts of
/// the attacked communities have left there, a mebibyte of state for each script at most.
const HOST_GAIN_MIB: u64 = 32;
/// What a child may have when an attack is over, MiB.
const CHILD_MIB: u64 = 80;
/// Descriptors that come and go: a file that is read, a child that is looked at.
const DESCRIPTORS_GAIN: usize = 8;

/// The program in peace.
pub struct Normal(pub Processes);

impl Normal {
    /// Waits until nothing of an attack is left but so many children, and says how that looks.
    pub async fn again(
        &self,
        program: &Program,
        load: &Load,
        children: RangeInclusive<usize>,
    ) -> Processes {
        let Self(before) = self;
        let last = Instant::now() + PATIENCE;
        loop {
            let now = Processes::of(program.id());
            let is_normal = children.contains(&now.children.len())
                && now.host.own_mib <= before.host.own_mib + HOST_GAIN_MIB
                && now.largest_child() <= CHILD_MIB
                && now.descriptors <= before.descriptors + DESCRIPTORS_GAIN;
            if is_normal {
                return now;
            }
            assert!(Instant::now() < last, "{before} before, {now} now");
            load.goes_on().await;
        }
    }
}
