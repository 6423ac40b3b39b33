//! The audit log as a chain of hashes: what makes a changed, lost, swapped or added line visible.
//!
//! Pure, and the same for every database. A line's hash covers the hash before it, so that whoever
//! knows the latest one (the head, which is posted daily) can tell whether anything before it is as
//! it was. The payload enters as a salted digest: it can be erased, and the chain still holds.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::AuditRow;
use crate::clock::TimeMs;
use crate::id::{CommunityId, EventId, PersonId};

/// A hash of the chain.
pub type Hash = [u8; 32];

/// Where the chain has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last line; 0 before the first.
    pub n: i64,
    /// Its hash.
    pub hash: Hash,
}

impl Head {
    /// Before the first line.
    pub const NONE: Self = Self { n: 0, hash: [0; 32] };

    /// `HASH@n`, as it is shown.
    pub fn parse(text: &str) -> Option<Self> {
        let (hash, n) = text.trim().split_once('@')?;
        Some(Self { n: n.parse().ok().filter(|n| *n >= 0)?, hash: from_hex(hash)? })
    }
}

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", hex(&self.hash), self.n)
    }
}

/// What a line tells besides who did what; JSON, and it can be erased.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// The turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// Whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub community: Option<CommunityId>,
    /// Who made it happen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<PersonId>,
    /// Whom it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<PersonId>,
    /// To whom or what.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// Why, or how.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// A line as it stands in the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainRow {
    /// Its number, from 1 and without gaps.
    pub n: i64,
    /// When, Unix ms.
    pub at: TimeMs,
    /// Who decided.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// SHA-256 over salt and payload.
    pub digest: String,
    /// SHA-256 over everything before and this line.
    pub hash: String,
    /// 32 hexadecimal digits; `None` once erased.
    pub salt: Option<String>,
    /// JSON of a [`Payload`]; `None` once erased.
    pub payload: Option<String>,
}

/// The line that follows a head; the head moves on.
pub fn link(head: &mut Head, row: &AuditRow) -> ChainRow {
    let payload = Payload {
        event: row.event,
        community: row.community,
        by: row.by,
        about: row.about,
        object: row.object.clone(),
        detail: row.detail.clone(),
    };
    // Numbers and texts: it always has a JSON form.
    let payload = serde_json::to_string(&payload).unwrap_or_default();
    let salt = hex(&row.salt);
    let digest = digest(&salt, &payload);
    let n = head.n + 1;
    let hash = next(&head.hash, n, row.at, &row.actor, &row.action, &digest);
    *head = Head { n, hash };
    ChainRow {
        n,
        at: row.at,
        actor: row.actor.clone(),
        action: row.action.clone(),
        digest: hex(&digest),
        hash: hex(&hash),
        salt: Some(salt),
        payload: Some(payload),
    }
}

fn digest(salt: &str, payload: &str) -> Hash {
    let mut hash = Sha256::new();
    hash.update(salt.as_bytes());
    hash.update(payload.as_bytes());
    hash.finalize().into()
}

/// Texts carry their length, so that no two lines have the same bytes.
fn next(before: &Hash, n: i64, at: TimeMs, actor: &str, action: &str, digest: &Hash) -> Hash {
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(n.to_be_bytes());
    hash.update(at.to_be_bytes());
    for text in [actor, action] {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hash.update(digest);
    hash.finalize().into()
}

/// What is wrong with a chain: the first line that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Which line.
    pub n: i64,
    /// What is wrong with it.
    pub what: &'static str,
}

/// Walks a chain, line by line in the order of their numbers.
#[derive(Clone, Debug)]
pub struct Walk {
    head: Head,
    /// A head that somebody wrote down earlier.
    known: Option<Head>,
    broken: Option<Broken>,
    erased: i64,
}

/// A line as it was read, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct LineRef<'a> {
    /// Its number.
    pub n: i64,
    /// When.
    pub at: TimeMs,
    /// Who.
    pub actor: &'a str,
    /// What.
    pub action: &'a str,
    /// As stored.
    pub digest: &'a str,
    /// As stored.
    pub hash: &'a str,
    /// As stored.
    pub salt: Option<&'a str>,
    /// As stored.
    pub payload: Option<&'a str>,
}

impl Walk {
    /// Begins before the first line; `known` is a head of earlier, which must lie on the way.
    pub fn new(known: Option<Head>) -> Self {
        Self { head: Head::NONE, known, broken: None, erased: 0 }
    }

    /// Looks at the next line; `false` once something is wrong.
    pub fn step(&mut self, line: LineRef<'_>) -> bool {
        if self.broken.is_none()
            && let Err(what) = self.check(line)
        {
            self.broken = Some(Broken { n: self.head.n + 1, what });
        }
        self.broken.is_none()
    }

    fn check(&mut self, line: LineRef<'_>) -> Result<(), &'static str> {
        let n = self.head.n + 1;
        if line.n != n {
            return Err("it is missing");
        }
        let stored = from_hex(line.digest).ok_or("its digest is no digest")?;
        match (line.salt, line.payload) {
            (Some(salt), Some(payload)) if digest(salt, payload) != stored => {
                return Err("its payload was changed");
            }
            (Some(_), Some(_)) => {}
            (None, None) => self.erased += 1,
            (Some(_), None) | (None, Some(_)) => return Err("its payload was erased by half"),
        }
        let hash = next(&self.head.hash, n, line.at, line.actor, line.action, &stored);
        if from_hex(line.hash) != Some(hash) {
            return Err("its hash does not follow from what is before it");
        }
        if self.known.is_some_and(|known| known.n == n && known.hash != hash) {
            return Err("it is not the line that the known head names");
        }
        self.head = Head { n, hash };
        Ok(())
    }

    /// The end of the chain: whether it reaches the known head.
    pub fn end(mut self) -> ChainReport {
        let is_short = self.known.is_some_and(|known| known.n > self.head.n);
        if self.broken.is_none() && is_short {
            let what = "it is missing, and the known head says that it was there";
            self.broken = Some(Broken { n: self.head.n + 1, what });
        }
        let Head { n, .. } = self.head;
        ChainReport {
            lines: n,
            erased: self.erased,
            head: self.head.to_string(),
            broken: self.broken,
        }
    }
}

/// What became of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainReport {
    /// Lines that are as they were.
    pub lines: i64,
    /// How many of them have no payload any more.
    pub erased: i64,
    /// The head so far.
    pub head: String,
    /// The first line that is not.
    pub broken: Option<Broken>,
}

/// Hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Back from 64 digits in lower case; anything else is no hash.
pub fn from_hex(text: &str) -> Option<Hash> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut hash = [0; 32];
    if text.len() != 2 * hash.len() {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: i64) -> AuditRow {
        AuditRow {
            event: Some(EventId(n)),
            community: Some(CommunityId(1)),
            at: 1000 + n,
            actor: format!("rule@{n}"),
            by: None,
            about: Some(PersonId(n)),
            action: "warn".to_owned(),
            object: "test:u-1".to_owned(),
            detail: "刷屏".to_owned(),
            salt: [n as u8; 16],
        }
    }

    fn chain(count: i64) -> (Vec<ChainRow>, Head) {
        let mut head = Head::NONE;
        let rows = (1..=count).map(|n| link(&mut head, &line(n))).collect();
        (rows, head)
    }

    fn walk(rows: &[ChainRow], known: Option<Head>) -> ChainReport {
        let mut walk = Walk::new(known);
        for row in rows {
            walk.step(LineRef {
                n: row.n,
                at: row.at,
                actor: &row.actor,
                action: &row.action,
                digest: &row.digest,
                hash: &row.hash,
                salt: row.salt.as_deref(),
                payload: row.payload.as_deref(),
            });
        }
        walk.end()
    }

    #[test]
    fn a_head_is_read_as_it_is_shown() {
        let (_, head) = chain(3);
        assert_eq!(Head::parse(&head.to_string()), Some(head));
        for wrong in ["", "@3", "abc@1", &format!("{}@-1", "0".repeat(64)), &"0".repeat(64)] {
            assert_eq!(Head::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_chain_holds_also_when_payloads_are_erased() {
        let (mut rows, head) = chain(20);
        assert_eq!(walk(&rows, Some(head)).broken, None);
        for row in rows.iter_mut().step_by(3) {
            (row.salt, row.payload) = (None, None);
        }
        let report = walk(&rows, Some(head));
        assert_eq!((report.lines, report.erased, report.broken), (20, 7, None));
        assert_eq!(report.head, head.to_string());
    }

    #[test]
    fn texts_do_not_run_into_each_other() {
        let (digest, zero) = ([7; 32], [0; 32]);
        assert_ne!(next(&zero, 1, 1, "ab", "c", &digest), next(&zero, 1, 1, "a", "bc", &digest));
    }

    /// Each way to tamper, at every place: the first line that is touched is named.
    #[test]
    fn whatever_is_done_to_any_line_is_named() {
        type Tamper = fn(&mut Vec<ChainRow>, usize);
        let ways: [(&str, Tamper); 12] = [
            ("at", |rows, at| rows[at].at += 1),
            ("actor", |rows, at| rows[at].actor.push('x')),
            ("action", |rows, at| rows[at].action = "ban".to_owned()),
            ("payload", |rows, at| rows[at].payload = Some("{}".to_owned())),
            ("salt", |rows, at| rows[at].salt = Some("0".repeat(32))),
            ("half", |rows, at| rows[at].salt = None),
            ("digest", |rows, at| rows[at].digest = "0".repeat(64)),
            ("hash", |rows, at| rows[at].hash = "0".repeat(64)),
            ("delete", |rows, at| drop(rows.remove(at))),
            ("swap", |rows, at| {
                let (a, b) = (rows[at].clone(), rows[at + 1].clone());
                (rows[at], rows[at + 1]) = (ChainRow { n: a.n, ..b }, ChainRow { n: b.n, ..a });
            }),
            ("insert", |rows, at| {
                let extra = rows[at].clone();
                rows.insert(at, extra);
                for (row, n) in rows.iter_mut().zip(1..) {
                    row.n = n;
                }
            }),
            ("forge", |rows, at| {
                // Whoever rebuilds the chain from here on is found by the head alone.
                let before = at.checked_sub(1).map(|at| from_hex(&rows[at].hash).unwrap());
                let mut head = Head { n: at as i64, hash: before.unwrap_or([0; 32]) };
                for row in &mut rows[at..] {
                    *row = link(&mut head, &AuditRow { detail: "x".to_owned(), ..line(row.n) });
                }
            }),
        ];
        let (rows, head) = chain(40);
        for (way, tamper) in ways {
            for at in 0..38 {
                let mut tampered = rows.clone();
                tamper(&mut tampered, at);
                let broken = walk(&tampered, Some(head)).broken.map(|broken| broken.n);
                // A copy of a line is told where the copy ends: the line itself is as it was.
                let wanted = match way {
                    "forge" => 40,
                    "insert" => at as i64 + 2,
                    _ => at as i64 + 1,
                };
                assert_eq!(broken, Some(wanted), "{way} at line {}", at + 1);
            }
        }
        // A tail that is cut off is found by the head alone.
        for left in 0..40 {
            assert_eq!(walk(&rows[..left], None).broken, None);
            let broken = walk(&rows[..left], Some(head)).broken.map(|broken| broken.n);
            assert_eq!(broken, Some(left as i64 + 1), "{left} left");
        }
    }
}
