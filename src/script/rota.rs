//! Jobs that wait for a script thread: in their order, but those of one community one at a time, so
//! that a slow one keeps a single thread from the others, however many of its frames wait.

use std::collections::VecDeque;

use crate::id::CommunityId;

/// What waits, and whose turn it is not.
pub(crate) struct Rota<J> {
    waiting: VecDeque<(Option<CommunityId>, J)>,
    running: Vec<CommunityId>,
}

impl<J> Default for Rota<J> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), running: Vec::new() }
    }
}

impl<J> Rota<J> {
    /// Puts a job at the end.
    pub(crate) fn push(&mut self, community: Option<CommunityId>, job: J) {
        self.waiting.push_back((community, job));
    }

    /// Jobs that wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The first job of a community of which none runs, and whose it is.
    pub(crate) fn take(&mut self) -> Option<(Option<CommunityId>, J)> {
        let is_free = |(community, _): &(Option<CommunityId>, J)| {
            community.is_none_or(|community| !self.running.contains(&community))
        };
        let place = self.waiting.iter().position(is_free)?;
        let (community, job) = self.waiting.remove(place)?;
        self.running.extend(community);
        Some((community, job))
    }

    /// The job of this community that ran has ended.
    pub(crate) fn ended(&mut self, community: CommunityId) {
        if let Some(place) = self.running.iter().position(|running| *running == community) {
            self.running.swap_remove(place);
        }
    }

    /// Takes out what waits of a community and is not wanted any more.
    pub(crate) fn remove(
        &mut self,
        community: CommunityId,
        is_unwanted: impl Fn(&J) -> bool,
    ) -> Vec<J> {
        let mut removed = Vec::new();
        for (whose, job) in std::mem::take(&mut self.waiting) {
            if whose == Some(community) && is_unwanted(&job) {
                removed.push(job);
            } else {
                self.waiting.push_back((whose, job));
            }
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Option<CommunityId> = Some(CommunityId(1));
    const B: Option<CommunityId> = Some(CommunityId(2));

    #[test]
    fn many_jobs_of_one_community_leave_a_thread_for_the_others() {
        let mut rota = Rota::default();
        for job in 0..5 {
            rota.push(A, job);
        }
        rota.push(B, 5);
        rota.push(None, 6);
        assert_eq!(rota.take(), Some((A, 0)));
        assert_eq!(rota.take(), Some((B, 5)));
        assert_eq!(rota.take(), Some((None, 6)));
        assert_eq!((rota.take(), rota.len()), (None, 4));
        rota.ended(CommunityId(1));
        assert_eq!(rota.take(), Some((A, 1)));
    }

    #[test]
    fn what_is_not_wanted_goes_and_the_rest_keeps_its_order() {
        let mut rota = Rota::default();
        for (whose, job) in [(A, 0), (B, 1), (A, 2), (A, 3), (None, 4)] {
            rota.push(whose, job);
        }
        assert_eq!(rota.remove(CommunityId(1), |job| *job != 2), [0, 3]);
        let left: Vec<_> = std::iter::from_fn(|| rota.take()).collect();
        assert_eq!(left, [(B, 1), (A, 2), (None, 4)]);
    }
}
