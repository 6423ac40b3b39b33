//! Who wrote the latest messages: a reaction names a message and not its author.
//!
//! Only the latest, in memory: the archive has no index by message, and reactions to what is old
//! are few. Not kept over a restart.

use crate::id::{GroupId, PersonId};

/// Messages that are remembered in each community.
const REMEMBERED: usize = 512;

/// A ring of the latest messages with their authors.
#[derive(Debug, Default)]
pub struct Authors {
    ring: Vec<(u64, PersonId)>,
    next: usize,
}

impl Authors {
    /// Remembers a message.
    pub fn note(&mut self, group: GroupId, message: &str, author: PersonId) {
        let entry = (fingerprint(group, message), author);
        if self.ring.len() < REMEMBERED {
            self.ring.push(entry);
        } else {
            self.ring[self.next] = entry;
            self.next = (self.next + 1) % REMEMBERED;
        }
    }

    /// Who wrote it, if it is remembered.
    pub fn of(&self, group: GroupId, message: &str) -> Option<PersonId> {
        let wanted = fingerprint(group, message);
        self.ring.iter().find(|(known, _)| *known == wanted).map(|(_, author)| *author)
    }
}

/// FNV-1a (<http://www.isthe.com/chongo/tech/comp/fnv/>), the same on every machine.
fn fingerprint(group: GroupId, message: &str) -> u64 {
    let bytes = group.0.to_le_bytes().into_iter().chain(message.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_known_and_the_rest_is_forgotten() {
        let mut authors = Authors::default();
        for n in 0..REMEMBERED as i64 + 10 {
            authors.note(GroupId(1), &n.to_string(), PersonId(n));
        }
        assert_eq!(authors.of(GroupId(1), "9"), None);
        assert_eq!(authors.of(GroupId(1), "10"), Some(PersonId(10)));
        assert_eq!(authors.of(GroupId(1), "521"), Some(PersonId(521)));
        assert_eq!(authors.of(GroupId(2), "521"), None);
        assert_eq!(authors.ring.len(), REMEMBERED);
    }
}
