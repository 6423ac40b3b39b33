//! What scripts see of a red packet, its verification by any member, and its rows.

use std::borrow::Cow;

use super::calls::Args;
use super::{Fetched, Need, Stop, Turn};
use crate::community::packet_from_rows;
use crate::id::PacketId;
use crate::ledger::{Packet, PacketState};
use crate::refusal::Refusal;
use crate::store::{PacketRow, ShareRow};
use crate::text::span;
use crate::value::Value;

/// Digits of the commitment that are shown in the message: 128 bits.
const COMMITMENT_SHOWN: usize = 32;

type Answer = Result<Value, Stop>;

impl Turn {
    pub(super) fn packet_get(&mut self, args: &Args<'_>) -> Answer {
        let found = self.packet(args)?;
        Ok(found.map_or(Value::Unit, |packet| self.packet_view(&packet)))
    }

    /// Cuts an ended packet anew from its seed, and compares.
    pub(super) fn packet_verify(&mut self, args: &Args<'_>) -> Answer {
        let Some(packet) = self.packet(args)? else {
            return Err(Refusal::new("unknown_packet").into());
        };
        if packet.state == PacketState::Open {
            return Err(Refusal::new("still_open").with("id", packet.id.0).into());
        }
        let amounts = packet.shares.iter().map(|share| share.amount.into());
        Ok(Value::map([
            ("id", packet.id.0.into()),
            ("is_right", packet.is_as_committed().into()),
            ("mode", packet.mode.as_str().into()),
            ("total", packet.total.into()),
            ("count", (packet.shares.len() as i64).into()),
            ("amounts", Value::List(amounts.collect())),
            ("seed", hex(&packet.seed).into()),
            ("commitment", packet.commitment.as_str().into()),
        ]))
    }

    /// By number, from the database where memory has forgotten it; else the quoted one, or the latest
    /// here.
    fn packet(&self, args: &Args<'_>) -> Result<Option<Cow<'_, Packet>>, Stop> {
        let id = match args.number(0)? {
            Some(number) => number,
            None => match self.latest_packet()? {
                Some(id) => id.0,
                None => return Ok(None),
            },
        };
        if let Some(packet) = self.community.packets.get(&PacketId(id)) {
            return Ok(Some(Cow::Borrowed(packet)));
        }
        match self.fetched.get(&Need::Packet(id)) {
            None => Err(Stop::Need(Need::Packet(id))),
            Some(Fetched::Packet(Some(rows))) => {
                Ok(Some(Cow::Owned(packet_from_rows(rows.clone()))))
            }
            Some(_) => Ok(None),
        }
    }

    /// What scripts see of a packet. Amounts that nobody took and the seed stay secret while it
    /// is open.
    pub(super) fn packet_view(&self, packet: &Packet) -> Value {
        let taken = packet.shares[..packet.claimed].iter().filter_map(|share| {
            let (person, _) = share.taken?;
            let entry = [("name", self.name_of(person).into()), ("amount", share.amount.into())];
            Some(Value::map(entry))
        });
        let best = packet.best().map_or(Value::Unit, |(person, amount)| {
            Value::map([("name", self.name_of(person).into()), ("amount", amount.into())])
        });
        let life = span(&self.plan.locale, packet.expires_at - packet.created_at);
        let delay_ms = packet.opens_at - packet.created_at;
        let opens_in = match delay_ms {
            ..=0 => Value::Unit,
            _ => span(&self.plan.locale, delay_ms).into(),
        };
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
            ("opens_in", opens_in),
        ])
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn packet_row(community: crate::id::CommunityId, packet: &Packet) -> PacketRow {
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
        opens_at: packet.opens_at,
        expires_at: packet.expires_at,
        state: packet.state.as_str().to_owned(),
    }
}

pub(super) fn share_row(packet: &Packet, n: usize) -> ShareRow {
    let share = &packet.shares[n];
    ShareRow {
        packet: packet.id.0,
        n: n as i64,
        amount: share.amount,
        person: share.taken.map(|(person, _)| person),
        taken_at: share.taken.map(|(_, at)| at),
    }
}
