//! One file as a power cut would find it: what was synced, and what was done since.

use crate::chance::Chance;

/// What a disk writes at once. A sector of a write is kept, lost or torn by itself; bytes beside a
/// write are never touched, as SQLite takes for granted
/// (<https://www.sqlite.org/psow.html>).
const SECTOR: u64 = 512;
/// Sectors of a hundred that are torn instead of lost.
const TORN: u32 = 10;

/// What happened to a file since it was synced.
#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

/// A file.
#[derive(Clone, Debug, Default)]
pub struct Image {
    synced: Vec<u8>,
    /// Its folder knows it, which the first sync makes sure of.
    is_known: bool,
    /// It was removed, and nobody made sure that its folder knows.
    is_gone: bool,
    changes: Vec<Change>,
}

impl Image {
    /// A file that has long been there.
    pub fn there(bytes: Vec<u8>) -> Self {
        Self { synced: bytes, is_known: true, ..Self::default() }
    }

    pub fn is_known(&self) -> bool {
        self.is_known
    }

    pub fn is_gone(&self) -> bool {
        self.is_gone
    }

    pub fn gone(&mut self) {
        self.is_gone = true;
    }

    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        self.changes.push(Change::Write(at, bytes.to_vec()));
    }

    pub fn truncate(&mut self, length: u64) {
        self.changes.push(Change::Truncate(length));
    }

    pub fn sync(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            match change {
                Change::Write(at, bytes) => put(&mut self.synced, at, &bytes),
                Change::Truncate(length) => self.synced.truncate(length as usize),
            }
        }
        self.is_known = true;
    }

    pub fn unsynced(&self) -> usize {
        self.changes.len()
    }

    /// What is left of it; of a hundred changes so many are kept whole.
    pub fn left(&self, chance: &mut Chance, luck: u32) -> Option<Vec<u8>> {
        let is_lost = !self.is_known && !chance.percent(luck);
        if is_lost || (self.is_gone && chance.percent(50)) {
            return None;
        }
        let mut bytes = self.synced.clone();
        for change in &self.changes {
            match change {
                Change::Write(at, written) => scatter(&mut bytes, *at, written, chance, luck),
                Change::Truncate(length) if chance.percent(luck) => {
                    bytes.truncate(*length as usize);
                }
                Change::Truncate(_) => {}
            }
        }
        Some(bytes)
    }
}

/// Sector by sector, in any order: which of them come before the cut is chance.
fn scatter(bytes: &mut Vec<u8>, at: u64, written: &[u8], chance: &mut Chance, luck: u32) {
    let mut done = 0;
    while done < written.len() {
        let from = at + done as u64;
        let length = ((SECTOR - from % SECTOR) as usize).min(written.len() - done);
        let piece = &written[done..done + length];
        if chance.percent(luck) {
            put(bytes, from, piece);
        } else if chance.percent(TORN) {
            let kept = chance.below(length as u64) as usize;
            put(bytes, from, &piece[..kept]);
        }
        done += length;
    }
}

fn put(bytes: &mut Vec<u8>, at: u64, written: &[u8]) {
    let (at, end) = (at as usize, at as usize + written.len());
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[at..end].copy_from_slice(written);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_is_left_and_the_rest_is_chance() {
        let mut image = Image::default();
        image.write(0, &[1; 1024]);
        let mut chance = Chance::new(1);
        assert_eq!(image.left(&mut chance, 0), None, "nobody knows of it");
        image.sync();
        image.write(512, &[2; 1024]);
        assert_eq!(image.left(&mut chance, 100).map(|left| left.len()), Some(1536));
        let mut lost = 0;
        for _ in 0..200 {
            let left = image.left(&mut chance, 50).expect("it is known");
            assert_eq!(left[..512], [1; 512], "synced, and not written since");
            lost += usize::from(left[512..1024] == [1; 512]);
        }
        assert!((40..160).contains(&lost), "{lost} of 200");
    }
}
