//! What a turn wants sent: deliveries, long messages cut into parts.

use super::Turn;
use super::effects::Skip;
use crate::effect::{Answers, Call, Delivery, DeliveryState, Destination, Policy};
use crate::event::Element;
use crate::id::{Ref, ScriptName};
use crate::outbox::chunks::{CHUNKS_MAX, Chunk, cut};
use crate::report::Line;

impl Turn {
    /// Wants a call made, as the account that saw the event or the one of that platform.
    pub(super) fn deliver(
        &mut self,
        script: Option<&ScriptName>,
        to: Destination,
        call: Call,
    ) -> Result<(), Skip> {
        let platform = self
            .world
            .platforms
            .get(to.reference().platform())
            .ok_or("the bot is not on that platform now")?;
        // What happened here is answered by the account that saw it.
        let seen_by = &self.event.envelope.account;
        let own = seen_by.platform() == to.reference().platform();
        let account = if own { seen_by } else { &platform.account }.clone();
        if call.word() != "send" && call.word() != "card" && !platform.capabilities.can(call.word())
        {
            return Err("the platform cannot do that");
        }
        let limit = platform.capabilities.text_chars;
        let mut parts = parts(call, limit, |content| platform.length(content));
        if parts.len() > CHUNKS_MAX {
            parts.truncate(CHUNKS_MAX);
            let reason =
                format!("it needs more than {CHUNKS_MAX} messages; the rest of it is left out");
            self.say_line(Line::Skipped { effect: "send".to_owned(), reason });
        }
        // One key for each effect: unique, and the same when the delivery is tried again.
        let chain = format!("{}-{}", self.event.id, self.deliveries.len());
        let count = parts.len();
        for (at, call) in parts.into_iter().enumerate() {
            let is_whole = count == 1;
            let key = if is_whole { chain.clone() } else { Chunk::key(&chain, at + 1, count) };
            self.deliver_one(script, account.clone(), to.clone(), key, call);
        }
        Ok(())
    }

    fn deliver_one(
        &mut self,
        script: Option<&ScriptName>,
        account: Ref,
        to: Destination,
        key: String,
        call: Call,
    ) {
        self.deliveries.push(Delivery {
            id: self.world.numbers.delivery(),
            key,
            event: self.event.id,
            answers: Some(Answers { event: self.event.envelope.key.clone(), is_personal: false }),
            community: self.community.id,
            script: script.cloned(),
            account,
            to,
            policy: policy(&call),
            call,
            state: DeliveryState::Sending,
            reason: None,
            not_before: self.now,
            expires_at: self.now + self.world.limits().reply_expires_s * 1000,
            attempts: 0,
            platform_id: None,
        });
    }
}

/// What pings everybody is rather lost than doubled.
fn policy(call: &Call) -> Policy {
    match call {
        Call::Send { content, .. } | Call::Card { content, .. }
            if content.contains(&Element::MentionAll) =>
        {
            Policy::Drop
        }
        _ => Policy::Retry,
    }
}

/// A message that is too long as several; a living message is one, or cannot be changed.
fn parts(call: Call, limit: usize, length: impl Fn(&[Element]) -> usize) -> Vec<Call> {
    let Call::Send { content, reply_to, only_for, slot } = call else { return vec![call] };
    let contents = cut(content, limit, length);
    let part = |(at, content): (usize, Vec<Element>)| Call::Send {
        content,
        // The first answers; each has a slot of its own, so that a later post replaces all of them.
        reply_to: reply_to.clone().filter(|_| at == 0),
        only_for: only_for.clone(),
        slot: slot.clone().map(|slot| if at == 0 { slot } else { format!("{slot}/{}", at + 1) }),
    };
    contents.into_iter().enumerate().map(part).collect()
}
