//! Who is in a world: groups on three platforms, their members, and when it begins.

use chrono::DateTime;
use chrono_tz::Tz;
use qundao::bot::SeedMember;
use qundao::clock::TimeMs;
use qundao::event::{Actor, Place};
use qundao::id::Ref;
use qundao::value::Role;

use crate::draw::Draw;

/// The platforms, by their place.
pub const PLATFORMS: [&str; 3] = ["quiet", "resume", "acked"];
/// Neither acknowledges nor repeats, as OneBot.
pub const QUIET: usize = 0;
/// Resumes what a connection missed and knows a nonce, as Discord.
pub const RESUME: usize = 1;
/// Repeats until it is acknowledged and can be asked what arrived.
pub const ACKED: usize = 2;

/// Groups: platform, name, community of the platform.
pub const GROUPS: [(usize, &str, Option<&str>); 5] = [
    (QUIET, "g0", None),
    (QUIET, "g1", None),
    (RESUME, "g2", Some("server")),
    (RESUME, "g3", Some("server")),
    (ACKED, "g4", None),
];

/// Days on which clocks change somewhere, and nearby ones on which they do not.
const DAYS: [&str; 9] = [
    "2026-03-08",
    "2026-11-01",
    "2026-03-29",
    "2026-10-25",
    "2026-04-05",
    "2026-10-04",
    "2026-04-24",
    "2026-10-30",
    "2026-07-15",
];
const ZONES: [Tz; 5] = [
    Tz::Asia__Shanghai,
    Tz::Europe__London,
    Tz::Australia__Lord_Howe,
    Tz::America__New_York,
    Tz::Africa__Cairo,
];
const DAY_MS: i64 = 24 * 3_600_000;

/// The constant part of a world.
#[derive(Clone, Debug)]
pub struct Cast {
    /// When it begins.
    pub begin: TimeMs,
    /// The zone of communities that have none of their own.
    pub zone: Tz,
    /// The zone of the community over two platforms.
    pub club_zone: Tz,
    /// Members of each group.
    pub members: usize,
}

impl Cast {
    /// The cast of a seed.
    pub fn of(seed: u64) -> Self {
        let mut draw = Draw::new(seed, "cast");
        let day = draw.pick(&DAYS);
        let noon = DateTime::parse_from_rfc3339(&format!("{day}T00:00:00Z"));
        let noon = noon.map_or(0, |day| day.timestamp_millis());
        let begin = noon - draw.between(DAY_MS / 4, 3 * DAY_MS / 2);
        let (zone, club_zone) = (*draw.pick(&ZONES), *draw.pick(&ZONES));
        let members = *draw.pick(&[3, 8, 20, 40]);
        Self { begin, zone, club_zone, members }
    }

    /// The zone of a group.
    pub fn zone_of(&self, group: usize) -> Tz {
        if group == 0 || group == 4 { self.club_zone } else { self.zone }
    }

    /// A member of a group as she was before the bot: the first is the owner, the second an admin.
    pub fn seed_member(&self, group: usize, member: usize) -> SeedMember {
        let newcomer = member % 7 == 6;
        SeedMember {
            id: member_ref(group, member),
            name: name(member),
            role: role(member),
            trust: if newcomer { 0 } else { 2 },
            points: if newcomer { 0 } else { 500 },
            joined_at: self.begin - if newcomer { DAY_MS / 2 } else { 60 * DAY_MS },
            is_bot: false,
        }
    }
}

/// The bot's own account on a platform.
pub fn account(platform: usize) -> Ref {
    Ref::new(PLATFORMS[platform], "bot")
}

/// What its platform calls a group.
pub fn group_ref(group: usize) -> Ref {
    Ref::new(PLATFORMS[GROUPS[group].0], GROUPS[group].1)
}

/// A group with its place.
pub fn place(group: usize) -> Place {
    let (platform, name, community) = GROUPS[group];
    let community = community.map(|community| Ref::new(PLATFORMS[platform], community));
    Place { id: group_ref(group), name: Some(name.to_owned()), community }
}

/// What its platform calls a member. Groups of one platform share their members.
pub fn member_ref(group: usize, member: usize) -> Ref {
    Ref::new(PLATFORMS[GROUPS[group].0], format!("u{member}"))
}

/// Her name.
pub fn name(member: usize) -> String {
    format!("成员{member}")
}

/// Her authority.
pub fn role(member: usize) -> Role {
    match member {
        0 => Role::Owner,
        1 => Role::Admin,
        _ => Role::Member,
    }
}

/// A member as events name her.
pub fn actor(group: usize, member: usize) -> Actor {
    Actor {
        id: member_ref(group, member),
        name: name(member),
        nickname: None,
        role: Some(role(member)),
        is_bot: false,
    }
}
