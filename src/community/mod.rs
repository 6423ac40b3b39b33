//! One community in memory: members, ledger, packets, rules, and what scripts remember.
//!
//! Pure state: loaded from the store's rows, changed by turns, written back as rows. Whoever
//! holds the value is the only one who can change it, which is what makes a lane serial.

mod load;
pub use load::packet_from_rows;
mod member;
pub mod score;

pub use member::{Member, Warning};

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::clock::TimeMs;
use crate::id::{CommunityId, GroupId, PacketId, PersonId, Ref, ScriptName, TimerId};
use crate::ledger::{AccountKey, Ledger, Packet, Quotas};
use crate::news::{ItemId, Posted};
use crate::store::{RoutineRow, RunRow, TimerRow};
use crate::value::{MemberView, Value};
use score::{Authors, CoreFan, Day, Pairs, Reviewed, Talks};

/// Where a script's memory belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// The whole community.
    Community,
    /// One of its groups.
    Group(GroupId),
    /// One member.
    Member(PersonId),
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Community => f.write_str("community"),
            Self::Group(id) => write!(f, "group:{id}"),
            Self::Member(id) => write!(f, "member:{id}"),
        }
    }
}

impl Scope {
    /// Back from the database's column.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "community" {
            return Some(Self::Community);
        }
        let (kind, id) = text.split_once(':')?;
        let id = id.parse().ok()?;
        match kind {
            "group" => Some(Self::Group(GroupId(id))),
            "member" => Some(Self::Member(PersonId(id))),
            _ => None,
        }
    }
}

/// The name of something that a script remembers.
pub type StateKey = (ScriptName, Scope, String);

/// The latest check-in of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkin {
    /// Local day, `YYYY-MM-DD`.
    pub day: String,
    /// Days in a row.
    pub streak: i64,
    /// Which of the day.
    pub ordinal: i64,
}

/// The rules in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// From 1.
    pub version: i64,
    /// The text.
    pub text: Arc<str>,
    /// Since when, Unix ms.
    pub at: TimeMs,
}

/// How often a script failed here lately.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    /// The version that failed; another one begins with a clean slate.
    pub revision: String,
    /// Failures in a row.
    pub failures: u32,
    /// Skipped until then, Unix ms.
    pub open_until: TimeMs,
}

/// Commands that were left undone in silence, and when that was told last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Since it was told.
    pub count: u64,
    /// Unix ms.
    pub told_at: TimeMs,
}

/// One community's state.
#[derive(Debug)]
pub struct Community {
    /// Its number.
    pub id: CommunityId,
    /// Members, those who left too.
    pub members: HashMap<PersonId, Member>,
    /// The local day of the turn that goes on.
    pub today: Day,
    /// Members who are here, bots not counted.
    pub size: i64,
    /// Members by account.
    pub accounts: HashMap<Ref, PersonId>,
    /// Points.
    pub ledger: Ledger,
    /// What was counted against the caps of the latest days.
    pub quotas: Quotas,
    /// Budgets: the number of each, by name.
    pub campaigns: BTreeMap<String, i64>,
    /// Packets that are open, and the last that ended.
    pub packets: BTreeMap<PacketId, Packet>,
    /// News that was posted here.
    pub posted: HashMap<ItemId, Posted>,
    /// Latest check-ins.
    pub checkins: HashMap<PersonId, Checkin>,
    /// How many checked in on the latest day that anybody did.
    pub checkins_today: (String, i64),
    /// The rules.
    pub rules: Option<Rules>,
    /// Latest version that each member accepted.
    pub acks: HashMap<PersonId, i64>,
    /// What scripts remember.
    pub state: BTreeMap<StateKey, Value>,
    /// Timers that wait.
    pub timers: BTreeMap<TimerId, TimerRow>,
    /// Times of routines that were decided lately, the earliest first.
    pub runs: Vec<RunRow>,
    /// Routines made by command, by name.
    pub routines: BTreeMap<String, RoutineRow>,
    /// The routines that its timers were last held against.
    pub routines_mark: u64,
    /// When each member may use a command again, Unix ms. Not kept over a restart.
    pub cooldowns: HashMap<(PersonId, ScriptName, u16), TimeMs>,
    /// Theoretical arrival time of each member's next command, Unix ms (GCRA,
    /// <https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm>). Not kept over a restart.
    pub command_rate: HashMap<PersonId, TimeMs>,
    /// Commands that members sent too fast. Not kept over a restart.
    pub dropped: Dropped,
    /// Scripts that fail here. Not kept over a restart.
    pub breakers: HashMap<ScriptName, Breaker>,
    /// Today's talk. Not kept over a restart.
    pub talks: Talks,
    /// Who wrote the latest messages. Not kept over a restart.
    pub authors: Authors,
    /// Who has answered or liked whom today.
    pub pairs: Pairs,
    /// Core fans, and who is on the way in or out.
    pub core_fans: HashMap<PersonId, CoreFan>,
    /// The latest evaluations, the last one last; no more than [`score::REVIEWS_KEPT`].
    pub reviews: Vec<Reviewed>,
}

impl Community {
    /// A community that nothing has happened in.
    pub fn new(id: CommunityId) -> Self {
        Self {
            id,
            members: HashMap::new(),
            today: 0,
            size: 0,
            accounts: HashMap::new(),
            ledger: Ledger::default(),
            quotas: Quotas::default(),
            campaigns: BTreeMap::new(),
            packets: BTreeMap::new(),
            posted: HashMap::new(),
            checkins: HashMap::new(),
            checkins_today: (String::new(), 0),
            rules: None,
            acks: HashMap::new(),
            state: BTreeMap::new(),
            timers: BTreeMap::new(),
            runs: Vec::new(),
            routines: BTreeMap::new(),
            routines_mark: 0,
            cooldowns: HashMap::new(),
            command_rate: HashMap::new(),
            dropped: Dropped::default(),
            breakers: HashMap::new(),
            talks: Talks::default(),
            authors: Authors::default(),
            pairs: Pairs::default(),
            core_fans: HashMap::new(),
            reviews: Vec::new(),
        }
    }

    /// Whether anything here may name a person.
    pub fn knows(&self, person: PersonId) -> bool {
        self.members.contains_key(&person)
    }

    /// Points that a member may spend.
    pub fn points(&self, person: PersonId) -> i64 {
        self.ledger.available(&AccountKey::Member(person))
    }

    /// What scripts may see of a member.
    pub fn view(&self, person: PersonId, now: TimeMs) -> Option<Arc<MemberView>> {
        let member = self.members.get(&person)?;
        Some(Arc::new(member.view(person, self.points(person), now, self.today)))
    }

    /// The member with this account.
    pub fn member_by_ref(&self, account: &Ref) -> Option<(PersonId, &Member)> {
        let person = self.accounts.get(account)?;
        Some((*person, self.members.get(person)?))
    }

    /// The member who goes by this name; `None` when nobody or several do.
    pub fn member_by_name(&self, name: &str) -> Option<PersonId> {
        let name = name.trim_start_matches(['@', '＠']);
        let mut found = self
            .members
            .iter()
            .filter(|(_, member)| {
                member.is_here() && (member.shown() == name || &*member.name == name)
            })
            .map(|(person, _)| *person);
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }
}
