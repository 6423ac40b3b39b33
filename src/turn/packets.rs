//! Host calls of `red_packet::`, and the end of a packet's life.
//!
//! The limits of a packet are settings of the script that sends it: `expires`, `max_total`,
//! `max_shares`, `max_open`, `cooldown`, `own_grab`, `member_for`.

use super::calls::Args;
use super::{Fetched, Need, Stop, Turn, Undo};
use crate::community::packet_from_rows;
use crate::event::EventKind;
use crate::id::{GroupId, PacketId, PersonId, TimerId};
use crate::ledger::{
    AccountKey, Claim, Mode, Packet, PacketState, Share, commitment, split_equal, split_lucky,
};
use crate::planted::{self, Bug};
use crate::refusal::Refusal;
use crate::script::duration;
use crate::store::{PacketRow, ShareRow, TimerRow};
use crate::text::span;
use crate::value::{Value, ValueMap};

/// Name of the timer that ends a packet; the script words it in `on_timer` of this name.
pub const EXPIRED: &str = "red_packet.expired";
/// A sender may take a packet back after so long, ms.
const REFUND_AFTER_MS: i64 = 60_000;
/// Between two packets of one sender where the script says nothing, ms.
const COOLDOWN_MS: i64 = 60_000;
/// Longest wish, characters; it is shown on one line.
const WISH_CHARS: usize = 50;
const HOUR_MS: i64 = 3_600_000;
/// Ended packets that stay in memory for questions.
const ENDED_KEPT: usize = 20;
/// Digits of the commitment that are shown: 128 bits.
const COMMITMENT_SHOWN: usize = 32;

type Answer = Result<Value, Stop>;

impl Turn {
    pub(super) fn packet_send(&mut self, args: &Args<'_>) -> Answer {
        let sender = args.member(0)?;
        let (total, count) = (args.int(1)?, args.int(2)?);
        let empty = ValueMap::new();
        let options = args.map(3)?.unwrap_or(&empty);
        let group = self.event.group.ok_or_else(|| Refusal::new("group_only"))?;
        self.check_packet(group, total, count)?;
        self.check_cooldown(sender)?;
        let id = self.world.numbers.packet();
        let ordinal = self.next_ordinal();
        let seed = self.world.packet_seed(self.event.id, ordinal);
        let mode = mode(options)?;
        let amounts = match mode {
            Mode::Lucky => split_lucky(total, count, &seed),
            Mode::Equal => split_equal(total, count),
        }
        .map_err(|_| Refusal::new("too_little").with("total", total).with("count", count))?;
        let packet = Packet {
            id,
            group,
            sender,
            mode,
            total,
            wish: wish(options),
            commitment: commitment(&seed, total, &amounts),
            seed,
            created_at: self.now,
            expires_at: self.now + self.duration_setting("expires", 24 * HOUR_MS),
            state: PacketState::Open,
            shares: amounts.into_iter().map(|amount| Share { amount, taken: None }).collect(),
            claimed: 0,
        };
        let (from, to) = (AccountKey::Member(sender), AccountKey::Escrow(id));
        self.post(from, to, total, format!("packet:{id}"), "red_packet.sent", false)?;
        self.add_packet(packet)
    }

    fn add_packet(&mut self, packet: Packet) -> Answer {
        let id = packet.id;
        self.made.packets.push(packet_row(self.community.id, &packet));
        for n in 0..packet.shares.len() {
            self.made.shares.push(share_row(&packet, n));
        }
        let timer = TimerRow {
            id: self.world.numbers.timer(),
            community: self.community.id,
            group: Some(packet.group),
            script: self.script().to_owned(),
            name: EXPIRED.to_owned(),
            due: packet.expires_at,
            data: serde_json::to_string(&Value::Int(id.0)).unwrap_or_default(),
        };
        self.add_timer(timer);
        let view = self.packet_view(&packet);
        self.community.packets.insert(id, packet);
        self.undo.push(Undo::PacketAdded(id));
        Ok(view)
    }

    fn check_packet(&self, group: GroupId, total: i64, count: i64) -> Result<(), Stop> {
        let max_total = self.int_setting("max_total", 10_000);
        // Everybody but the sender can have a share.
        let max_shares =
            self.int_setting("max_shares", 100).clamp(1, 100).min((self.community.size - 1).max(1));
        if total < 1 || total > max_total {
            return Err(Refusal::new("total_range").with("max", max_total).into());
        }
        if count < 1 || count > max_shares {
            return Err(Refusal::new("count_range").with("max", max_shares).into());
        }
        if total < count {
            return Err(Refusal::new("too_little")
                .with("total", total)
                .with("count", count)
                .into());
        }
        let max_open = self.int_setting("max_open", 5);
        let open = self.packets_in(group).filter(|p| p.state == PacketState::Open).count() as i64;
        if open >= max_open {
            return Err(Refusal::new("too_many_open").with("max", max_open).into());
        }
        Ok(())
    }

    /// One pause for every kind of packet, so that kinds cannot be used in turn.
    fn check_cooldown(&self, sender: PersonId) -> Result<(), Stop> {
        let own = self.community.packets.values().filter(|packet| packet.sender == sender);
        let last = own.map(|packet| packet.created_at).max();
        let pause = self.duration_setting("cooldown", COOLDOWN_MS);
        let wait = last.map_or(0, |last| last + pause - self.now);
        if wait > 0 {
            return Err(Refusal::new("cooldown").with("seconds", (wait + 999) / 1000).into());
        }
        Ok(())
    }

    pub(super) fn packet_grab(&mut self, args: &Args<'_>) -> Answer {
        let person = args.member(0)?;
        let joined_at = self.member(person)?.joined_at;
        let id = self.which_packet(args, 1, person)?;
        let claim = Claim {
            person,
            joined_at,
            at: self.now,
            group: self.event.group.unwrap_or(GroupId(0)),
            own_allowed: self.own_grab(),
            member_for_ms: self.duration_setting("member_for", 24 * HOUR_MS),
        };
        let packet =
            self.community.packets.get_mut(&id).ok_or_else(|| Refusal::new("unknown_packet"))?;
        let before = packet.state;
        let amount = packet.grab(claim)?;
        let n = packet.claimed - 1;
        let share = share_row(packet, n);
        let ended = packet.state != before;
        let row = packet_row(self.community.id, packet);
        self.undo.push(Undo::ShareTaken(id, before));
        self.made.shares.push(share);
        if ended {
            self.made.packets.push(row);
            self.cancel_expiry(id);
        }
        let (from, to) = (AccountKey::Escrow(id), AccountKey::Member(person));
        let mut key = format!("grab:{id}:{person}");
        if planted::has(Bug::GrabTwice) {
            key.push_str(&format!(":{n}"));
        }
        self.post(from, to, amount, key, "red_packet.grabbed", false)?;
        let view = self.packet_view(&self.community.packets[&id]);
        Ok(Value::map([("amount", amount.into()), ("packet", view)]))
    }

    pub(super) fn packet_refund(&mut self, args: &Args<'_>) -> Answer {
        let person = args.member(0)?;
        let id = match args.number(1)? {
            Some(number) => PacketId(number),
            None => match self.quoted_packet()? {
                Some(id) => id,
                None => self
                    .community
                    .packets
                    .values()
                    .rev()
                    .find(|packet| packet.sender == person && packet.state == PacketState::Open)
                    .map(|packet| packet.id)
                    .ok_or_else(|| Refusal::new("none_of_yours"))?,
            },
        };
        let staff = self.member(person)?.role.is_staff();
        let packet =
            self.community.packets.get(&id).ok_or_else(|| Refusal::new("unknown_packet"))?;
        if packet.sender != person && !staff {
            return Err(Refusal::new("not_yours").into());
        }
        if packet.state != PacketState::Open {
            return Err(Refusal::new("ended").into());
        }
        let wait = packet.created_at + REFUND_AFTER_MS - self.now;
        if wait > 0 {
            return Err(Refusal::new("too_soon").with("seconds", (wait + 999) / 1000).into());
        }
        self.give_back(id)?;
        self.cancel_expiry(id);
        Ok(self.packet_view(&self.community.packets[&id]))
    }

    pub(super) fn packet_get(&mut self, args: &Args<'_>) -> Answer {
        let id = match args.number(0)? {
            Some(number) => number,
            None => match self.latest_packet()? {
                Some(id) => id.0,
                None => return Ok(Value::Unit),
            },
        };
        if let Some(packet) = self.community.packets.get(&PacketId(id)) {
            return Ok(self.packet_view(packet));
        }
        match self.fetched.get(&Need::Packet(id)) {
            None => Err(Stop::Need(Need::Packet(id))),
            Some(Fetched::Packet(Some(rows))) => {
                Ok(self.packet_view(&packet_from_rows(rows.clone())))
            }
            Some(_) => Ok(Value::Unit),
        }
    }

    /// The end of a packet whose time has come; the scripts only word it. Returns what `on_timer`
    /// gets, or `None` when there was nothing left to do.
    pub fn expire_packet(&mut self, data: &Value) -> Option<Value> {
        let Value::Int(id) = data else { return None };
        let id = PacketId(*id);
        if !self.community.packets.get(&id)?.is_due(self.now) {
            return None;
        }
        match self.give_back(id) {
            Ok(()) => Some(self.packet_view(&self.community.packets[&id])),
            Err(stop) => {
                tracing::error!(packet = %id, ?stop, "a packet could not be refunded");
                None
            }
        }
    }

    fn give_back(&mut self, id: PacketId) -> Result<(), Stop> {
        let packet =
            self.community.packets.get_mut(&id).ok_or_else(|| Refusal::new("unknown_packet"))?;
        let (rest, sender, before) = (packet.rest(), packet.sender, packet.state);
        packet.state = PacketState::Refunded;
        let row = packet_row(self.community.id, packet);
        self.undo.push(Undo::PacketState(id, before));
        self.made.packets.push(row);
        if rest > 0 {
            let (from, to) = (AccountKey::Escrow(id), AccountKey::Member(sender));
            let mut key = format!("refund:{id}");
            if planted::has(Bug::RefundWithoutKey) {
                key = format!("turn:{}:refund", self.event.id);
            }
            self.post(from, to, rest, key, "red_packet.refunded", false)?;
        }
        Ok(())
    }

    /// By number; by the quoted card; else the oldest open one here that she has no share of and did
    /// not send.
    fn which_packet(
        &mut self,
        args: &Args<'_>,
        index: usize,
        person: PersonId,
    ) -> Result<PacketId, Stop> {
        if let Some(number) = args.number(index)? {
            return Ok(PacketId(number));
        }
        if let Some(number) = self.quoted_packet()? {
            return Ok(number);
        }
        let Some(group) = self.event.group else { return Err(Refusal::new("group_only").into()) };
        let mut latest = None;
        for packet in self.packets_in(group) {
            let is_own = packet.sender == person && !self.own_grab();
            if packet.state == PacketState::Open && !packet.has(person) && !is_own {
                return Ok(packet.id);
            }
            latest = Some(packet.id);
        }
        // The grab itself says why not: already, empty or expired.
        latest.ok_or_else(|| Refusal::new("none_open").into())
    }

    /// The quoted one, else the latest of this group.
    fn latest_packet(&mut self) -> Result<Option<PacketId>, Stop> {
        if let Some(id) = self.quoted_packet()? {
            return Ok(Some(id));
        }
        let latest = self.event.group.and_then(|group| self.packets_in(group).last());
        Ok(latest.map(|packet| packet.id))
    }

    fn quoted_packet(&mut self) -> Result<Option<PacketId>, Stop> {
        let EventKind::Message { quote: Some(quote), .. } = &self.event.envelope.kind else {
            return Ok(None);
        };
        let need = Need::SlotOf(quote.message.clone());
        match self.fetched.get(&need) {
            None => Err(Stop::Need(need)),
            Some(Fetched::SlotOf(Some(slot))) => {
                let number = slot.rsplit(' ').next().and_then(|number| number.parse().ok());
                Ok(number.map(PacketId).filter(|id| self.community.packets.contains_key(id)))
            }
            Some(_) => Ok(None),
        }
    }

    fn packets_in(&self, group: GroupId) -> impl Iterator<Item = &Packet> {
        self.community.packets.values().filter(move |packet| packet.group == group)
    }

    fn own_grab(&self) -> bool {
        self.setting("own_grab") == Some(&Value::Bool(true))
    }

    fn cancel_expiry(&mut self, id: PacketId) {
        let data = serde_json::to_string(&Value::Int(id.0)).unwrap_or_default();
        let found: Option<TimerId> = self
            .community
            .timers
            .values()
            .find(|timer| timer.name == EXPIRED && timer.data == data)
            .map(|timer| timer.id);
        if let Some(timer) = found {
            self.remove_timer(timer);
        }
    }

    fn int_setting(&self, name: &str, default: i64) -> i64 {
        match self.setting(name) {
            Some(Value::Int(number)) => *number,
            _ => default,
        }
    }

    fn duration_setting(&self, name: &str, default_ms: i64) -> i64 {
        match self.setting(name) {
            // A setting is any number; the present and a duration must have a sum.
            Some(Value::Int(ms)) => (*ms).clamp(0, duration::MAX_MS),
            Some(Value::Text(text)) => duration::parse(text).unwrap_or(default_ms),
            _ => default_ms,
        }
    }

    /// What scripts see of a packet. Amounts that nobody took and the seed stay secret while it
    /// is open.
    fn packet_view(&self, packet: &Packet) -> Value {
        let taken = packet.shares[..packet.claimed].iter().filter_map(|share| {
            let (person, _) = share.taken?;
            let entry = [("name", self.name_of(person).into()), ("amount", share.amount.into())];
            Some(Value::map(entry))
        });
        let best = packet.best().map_or(Value::Unit, |(person, amount)| {
            Value::map([("name", self.name_of(person).into()), ("amount", amount.into())])
        });
        let life = span(&self.plan.locale, packet.expires_at - packet.created_at);
        let ended = packet.state != PacketState::Open;
        let seed = if ended { hex(&packet.seed).into() } else { Value::Unit };
        Value::map([
            ("id", packet.id.0.into()),
            ("sender", self.name_of(packet.sender).into()),
            ("total", packet.total.into()),
            ("count", (packet.shares.len() as i64).into()),
            ("claimed", (packet.claimed as i64).into()),
            ("left", ((packet.shares.len() - packet.claimed) as i64).into()),
            ("rest", packet.rest().into()),
            ("mode", packet.mode.as_str().into()),
            ("wish", packet.wish.as_str().into()),
            ("life", life.into()),
            ("state", packet.state.as_str().into()),
            ("shares", Value::List(taken.collect())),
            ("best", best),
            ("commitment", packet.commitment[..COMMITMENT_SHOWN].into()),
            ("seed", seed),
            ("expires_at", packet.expires_at.into()),
        ])
    }

    /// Forgets the oldest ended packets beyond those that are kept for questions.
    pub fn trim_packets(&mut self) {
        let ended = |packet: &&Packet| packet.state != PacketState::Open;
        let surplus =
            self.community.packets.values().filter(ended).count().saturating_sub(ENDED_KEPT);
        let gone: Vec<PacketId> =
            self.community.packets.values().filter(ended).take(surplus).map(|p| p.id).collect();
        for id in gone {
            self.community.packets.remove(&id);
        }
    }
}

fn mode(options: &ValueMap) -> Result<Mode, Stop> {
    match options.get("mode") {
        None | Some(Value::Unit) => Ok(Mode::Lucky),
        Some(Value::Text(word)) if word == "lucky" => Ok(Mode::Lucky),
        Some(Value::Text(word)) if word == "equal" => Ok(Mode::Equal),
        Some(other) => Err(Stop::Wrong(format!(
            "`red_packet::send` wants the option `mode` to be \"lucky\" or \"equal\", got {other:?}"
        ))),
    }
}

fn wish(options: &ValueMap) -> String {
    match options.get("wish") {
        Some(Value::Text(text)) => {
            let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
            one_line.chars().take(WISH_CHARS).collect()
        }
        _ => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn packet_row(community: crate::id::CommunityId, packet: &Packet) -> PacketRow {
    PacketRow {
        id: packet.id.0,
        community,
        group: packet.group,
        sender: packet.sender,
        mode: packet.mode.as_str().to_owned(),
        total: packet.total,
        count: packet.shares.len() as i64,
        wish: packet.wish.clone(),
        seed: hex(&packet.seed),
        commitment: packet.commitment.clone(),
        created_at: packet.created_at,
        expires_at: packet.expires_at,
        state: packet.state.as_str().to_owned(),
    }
}

fn share_row(packet: &Packet, n: usize) -> ShareRow {
    let share = &packet.shares[n];
    ShareRow {
        packet: packet.id.0,
        n: n as i64,
        amount: share.amount,
        person: share.taken.map(|(person, _)| person),
        taken_at: share.taken.map(|(_, at)| at),
    }
}
