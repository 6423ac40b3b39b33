//! Host calls of `red_packet::`, and the end of a packet's life.
//!
//! The limits of a packet are settings of the script that sends it: `expires`, `max_total`,
//! `max_shares`, `max_open`, `max_own`, `max_day`, `max_grabbed`, `cooldown`, `grab_cooldown`,
//! `opens_after`, `own_grab`, `member_for`. All of them are judged in the turn that moves the points.

use super::calls::Args;
use super::expiry::FROZEN_AGAIN_MS;
use super::packet_view::{packet_row, share_row};
use super::{Fetched, Need, Stop, Turn, Undo};
use crate::clock::TimeMs;
use crate::event::EventKind;
use crate::id::{GroupId, PacketId, PersonId, ScriptName, TimerId};
use crate::ledger::{
    AccountKey, Claim, Mode, Packet, PacketState, Posting, Share, commitment, split_equal,
    split_lucky,
};
use crate::planted::{self, Bug};
use crate::refusal::Refusal;
use crate::report::Notice;
use crate::script::duration;
use crate::store::TimerRow;
use crate::value::{Value, ValueMap};

/// Name of the timer that ends a packet; the script words it in `on_timer` of this name.
pub const EXPIRED: &str = "red_packet.expired";
/// A sender may take a packet back after so long, ms.
const REFUND_AFTER_MS: i64 = 60_000;
/// Between two packets of one sender where the script says nothing, ms.
const COOLDOWN_MS: i64 = 60_000;
/// Between two grabs of one member where the script says nothing, ms.
const GRAB_COOLDOWN_MS: i64 = 2000;
/// Longest life of a packet, ms.
const LIFE_MAX_MS: i64 = 24 * HOUR_MS;
/// Longest wait before a packet can be grabbed, ms.
const DELAY_MAX_MS: i64 = HOUR_MS;
/// So many grabs that were faster than anybody can read are no chance.
const QUICK_GRABS: usize = 5;
/// Longest wish, characters; it is shown on one line.
const WISH_CHARS: usize = 50;
const HOUR_MS: i64 = 3_600_000;
/// Ended packets that stay in memory for questions.
const ENDED_KEPT: usize = 20;

type Answer = Result<Value, Stop>;

impl Turn {
    pub(super) fn packet_send(&mut self, args: &Args<'_>) -> Answer {
        let sender = args.member(0)?;
        let (total, count) = (args.int(1)?, args.int(2)?);
        let empty = ValueMap::new();
        let options = args.map(3)?.unwrap_or(&empty);
        let group = self.event.group.ok_or_else(|| Refusal::new("group_only"))?;
        self.check_packet(total, count)?;
        self.check_open(group, sender)?;
        self.check_cooldown(sender)?;
        let id = self.world.numbers.packet();
        let ordinal = self.next_ordinal();
        let seed = self.world.packet_seed(self.event.id, ordinal);
        let mode = mode(options)?;
        let life_ms = self.duration_setting("expires", LIFE_MAX_MS).min(LIFE_MAX_MS);
        let delay_ms = self.duration_setting("opens_after", 0).min(DELAY_MAX_MS);
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
            opens_at: self.now + delay_ms,
            expires_at: self.now + life_ms.max(delay_ms + 1),
            state: PacketState::Open,
            shares: amounts.into_iter().map(|amount| Share { amount, taken: None }).collect(),
            claimed: 0,
        };
        let (from, to) = (AccountKey::Member(sender), AccountKey::Escrow(id));
        let reason = "red_packet.sent".to_owned();
        let posting = Posting { reason, ..Posting::new(from, to, total, format!("packet:{id}")) };
        self.post(posting)?;
        self.add_packet(packet)
    }

    fn add_packet(&mut self, packet: Packet) -> Answer {
        let id = packet.id;
        self.made.packets.push(packet_row(self.community.id, &packet));
        for n in 0..packet.shares.len() {
            self.made.shares.push(share_row(&packet, n));
        }
        self.wait_for_end(id, packet.group, packet.expires_at);
        let view = self.packet_view(&packet);
        self.community.packets.insert(id, packet);
        self.undo.push(Undo::PacketAdded(id));
        Ok(view)
    }

    fn wait_for_end(&mut self, id: PacketId, group: GroupId, due: TimeMs) {
        // A timer that rings again stays with the script that set it.
        let script = match &self.event.envelope.kind {
            EventKind::Tick(tick) => tick.script.as_str().to_owned(),
            _ => self.script().to_owned(),
        };
        self.add_timer(TimerRow {
            id: self.world.numbers.timer(),
            community: self.community.id,
            group: Some(group),
            script,
            name: EXPIRED.to_owned(),
            due,
            data: serde_json::to_string(&Value::Int(id.0)).unwrap_or_default(),
        });
    }

    fn check_packet(&self, total: i64, count: i64) -> Result<(), Stop> {
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
        Ok(())
    }

    fn check_open(&self, group: GroupId, sender: PersonId) -> Result<(), Stop> {
        let is_open = |packet: &&Packet| packet.state == PacketState::Open;
        let max_open = self.int_setting("max_open", 10);
        if self.packets_in(group).filter(is_open).count() as i64 >= max_open {
            return Err(Refusal::new("too_many_open").with("max", max_open).into());
        }
        let max_own = self.int_setting("max_own", 5);
        let own = self.community.packets.values().filter(|packet| packet.sender == sender);
        if own.filter(is_open).count() as i64 >= max_own {
            return Err(Refusal::new("too_many_own").with("max", max_own).into());
        }
        Ok(())
    }

    /// Points that a member may take from packets in a day.
    pub(super) fn grab_cap(&self) -> i64 {
        self.int_setting("max_grabbed", 10_000)
    }

    /// Packets that may be sent in one group in a day.
    pub(super) fn packets_cap(&self) -> i64 {
        self.int_setting("max_day", 20)
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
        let last = self.community.packets.values().filter_map(|it| it.taken_at(person)).max();
        let packet =
            self.community.packets.get_mut(&id).ok_or_else(|| Refusal::new("unknown_packet"))?;
        let (before, has_one) = (packet.state, packet.has(person));
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
        let cooldown_ms = self.duration_setting("grab_cooldown", GRAB_COOLDOWN_MS);
        let wait_ms = last.map_or(0, |last| last + cooldown_ms - self.now);
        if wait_ms > 0 {
            return Err(Refusal::new("cooldown").with("seconds", (wait_ms + 999) / 1000).into());
        }
        let (from, to) = (AccountKey::Escrow(id), AccountKey::Member(person));
        let mut key = format!("grab:{id}:{person}");
        if has_one && planted::has(Bug::GrabTwice) {
            key = format!("{key}:{n}");
        }
        let reason = "red_packet.grabbed".to_owned();
        self.post(Posting { reason, ..Posting::new(from, to, amount, key) })?;
        self.flag_quick(person, id);
        let view = self.packet_view(&self.community.packets[&id]);
        Ok(Value::map([("amount", amount.into()), ("packet", view)]))
    }

    /// Tells the managers of who is always faster than anybody can read.
    fn flag_quick(&mut self, person: PersonId, id: PacketId) {
        let packets = self.community.packets.values();
        let is_quick = self.community.packets[&id].was_quick(person);
        if !is_quick || packets.filter(|it| it.was_quick(person)).count() != QUICK_GRABS {
            return;
        }
        let name = self.name_of(person);
        let text = format!(
            "{name} took {QUICK_GRABS} red packets within 300 ms of their opening, which looks like a \
             program; `opens_after` in [features.red_packet] gives everybody the same start"
        );
        let community = Some(self.community.id);
        let notice = Notice { community, text: text.clone(), is_problem: true };
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
        let script = ScriptName::new(self.script());
        self.audit(&script, "flag", Some(person), person.to_string(), text);
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

    /// The end of a packet whose time has come; the scripts only word it. Returns what `on_timer`
    /// gets, or `None` when there was nothing left to do.
    pub fn expire_packet(&mut self, data: &Value) -> Option<Value> {
        let Value::Int(id) = data else { return None };
        let id = PacketId(*id);
        let packet = self.community.packets.get(&id)?;
        if !packet.is_due(self.now) {
            return None;
        }
        let group = packet.group;
        match self.atomically(|turn| turn.give_back(id)) {
            Ok(()) => Some(self.packet_view(&self.community.packets[&id])),
            Err(stop) => {
                // A frozen ledger moves again some day; nothing else refuses this.
                tracing::warn!(packet = %id, ?stop, "a packet could not be refunded yet");
                self.wait_for_end(id, group, self.now + FROZEN_AGAIN_MS);
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
                let ordinal = self.next_ordinal();
                key = format!("turn:{}:{ordinal}", self.event.id);
            }
            let reason = "red_packet.refunded".to_owned();
            self.post(Posting { reason, ..Posting::new(from, to, rest, key) })?;
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
    pub(super) fn latest_packet(&self) -> Result<Option<PacketId>, Stop> {
        if let Some(id) = self.quoted_packet()? {
            return Ok(Some(id));
        }
        let latest = self.event.group.and_then(|group| self.packets_in(group).last());
        Ok(latest.map(|packet| packet.id))
    }

    fn quoted_packet(&self) -> Result<Option<PacketId>, Stop> {
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
