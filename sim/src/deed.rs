//! What members do, as their platform tells it.

use std::sync::Arc;

use qundao::event::{Element, Envelope, EventKind, KeyQuality};

use crate::cast::{GROUPS, account, actor, group_ref, member_ref, name, place};
use crate::op::{Op, What};
use crate::world::World;

/// Lets an operation of a member happen; `false` where it is none.
pub fn happen(world: &World, op: &Op, is_up: bool) -> bool {
    let Some((platform, envelope)) = envelope(world, op) else {
        return matches!(op.what, What::Replay { .. });
    };
    let now = world.clock.real();
    world.log(format_args!("op {} {:?}", op.id, op.what));
    let mut state = world.state();
    state.model.tell(&envelope);
    let calm;
    let rates = if world.is_calm() {
        calm = crate::rates::Rates::default();
        &calm
    } else {
        &world.plan.rates
    };
    let faults = state.platforms[platform].happen(world.plan.seed, rates, envelope, now, is_up);
    state.figures.faults += faults;
    true
}

fn envelope(world: &World, op: &Op) -> Option<(usize, Envelope)> {
    let mut is_direct = false;
    let (group, member, kind) = match &op.what {
        What::Say { group, member, text } => {
            (*group, *member, message(op, [Element::Text(text.clone())].into()))
        }
        What::Direct { group, member, text } => {
            is_direct = true;
            (*group, *member, message(op, [Element::Text(text.clone())].into()))
        }
        What::Grant { group, to, amount } => {
            let elements = [
                Element::Text("加积分 ".to_owned()),
                Element::Mention { id: member_ref(*group, *to), name: name(*to) },
                Element::Text(format!(" {amount} 奖")),
            ];
            (*group, 1, message(op, elements.into()))
        }
        What::Press { group, member } => (*group, *member, press(world, *group)),
        What::React { group, member } => {
            let message = format!("m{}", op.id / 2);
            (*group, *member, EventKind::Reaction { message, emoji: "👍".to_owned(), added: true })
        }
        What::Leave { group, member } => (*group, *member, EventKind::Left { removed_by: None }),
        What::Join { group, member } => (*group, *member, EventKind::Joined { inviter: None }),
        What::Replay { back } => {
            replay(world, *back);
            return None;
        }
        What::Crash { .. }
        | What::Stop { .. }
        | What::Pause { .. }
        | What::Jump { .. }
        | What::Correct
        | What::Reload { .. }
        | What::Break
        | What::DiskFull { .. }
        | What::Disconnect { .. } => return None,
    };
    let platform = GROUPS[group].0;
    let envelope = Envelope {
        account: account(platform),
        key: format!("k{}", op.id).into(),
        key_quality: KeyQuality::Stable,
        at: world.clock.real(),
        group: (!is_direct).then(|| place(group)),
        actor: Some(actor(group, member)),
        kind,
        backfilled: false,
    };
    Some((platform, envelope))
}

fn message(op: &Op, elements: Arc<[Element]>) -> EventKind {
    EventKind::Message { id: format!("m{}", op.id), elements, quote: None, to_bot: false }
}

fn press(world: &World, group: usize) -> EventKind {
    let state = world.state();
    let place = group_ref(group);
    let found = state.platforms[GROUPS[group].0].buttons.get(place.local());
    let (message, value) = found.cloned().unwrap_or_else(|| ("m0".to_owned(), "抢".to_owned()));
    EventKind::Button { message, value }
}

/// An old event comes once more, as it was.
fn replay(world: &World, back: u64) {
    let now = world.clock.real();
    let mut state = world.state();
    state.figures.faults += 1;
    for platform in &mut state.platforms {
        let at = platform.past.len().checked_sub(1 + back as usize);
        if let Some(envelope) = at.map(|at| platform.past[at].clone()) {
            platform.put(now, envelope);
        }
    }
}
