//! Which handlers an event goes to, in which order, and whether it may.
//!
//! Toggles, modes, roles, trust, cooldowns and rates are enforced here, so that no handler has
//! to. A [`Plan`] is one community's view of the scripts in force; communities without settings of
//! their own share one.

mod args;
mod command;
mod keywords;
mod plan;

pub use args::{Flat, flatten};
pub use command::{Asked, usage, verb};
pub use plan::{Plan, ROUTINES, Registry, configured_key};

use plan::Heard;

use crate::clock::TimeMs;
use crate::community::Community;
use crate::config::Limits;
use crate::event::{Event, EventKind};
use crate::id::{PersonId, ScriptName};
use crate::moderation::{Found, Scan, WordLists};
use crate::refusal::Refusal;
use crate::script::protocol::{Command, HandlerId, Run, Trigger};
use crate::value::ValueMap;

/// Code of the refusal of a command that is left undone because too much comes in. Nobody is told,
/// because that would be one more message; it is counted.
pub const OVERLOADED: &str = "overloaded";

/// Leads the names of timers that routines wait as; no script can name one so.
pub const ROUTINE_MARK: &str = "@";
/// The timer of [`ROUTINES`] under which it says what it is told to.
const TEXT: &str = "text";

/// What the dispatcher decided.
#[derive(Debug, Default)]
pub struct Dispatch {
    /// Handlers to run, in order.
    pub runs: Vec<Run>,
    /// The command that was asked for, if any.
    pub command: Option<CommandRun>,
    /// The command may not run: why, and whether to keep quiet about it.
    pub refused: Option<(Refusal, bool)>,
    /// A command was clearly meant but not understood: how it is written.
    pub usage: Option<String>,
    /// Communities that a direct message could be for.
    pub which: Vec<String>,
    /// Something was said to the bot that is no command.
    pub unknown: bool,
    /// Words of the lists that the scripts of `runs` ask about.
    pub words: Vec<Found>,
}

/// A command that runs, so that its cooldown can be noted when it went well.
#[derive(Clone, Debug)]
pub struct CommandRun {
    /// Index in `runs`.
    pub run: usize,
    /// Which script.
    pub script: ScriptName,
    /// Which handler.
    pub handler: HandlerId,
    /// Until it may run again, ms.
    pub cooldown_ms: i64,
    /// Refusals are not shown to others.
    pub quiet: bool,
}

/// What a decision depends on besides the event and the community.
#[derive(Clone, Copy)]
pub struct Circumstances<'a> {
    /// Word lists in force.
    pub lists: &'a WordLists,
    /// Limits in force.
    pub limits: &'a Limits,
    /// The present, for cooldowns.
    pub now: TimeMs,
    /// Commands of members are left undone.
    pub is_overloaded: bool,
}

/// Decides for one event.
pub fn dispatch(
    plan: &Plan,
    community: &mut Community,
    event: &Event,
    around: Circumstances<'_>,
) -> Dispatch {
    let mut out = Dispatch::default();
    if !event.which.is_empty() {
        out.which.clone_from(&event.which);
        return out;
    }
    let now = around.now;
    let trigger: &dyn Fn(&Trigger) -> bool = match &event.envelope.kind {
        EventKind::Message { elements, to_bot, .. } => {
            let flat = flatten(elements, &event.envelope.account);
            let mut heard = Heard::new(&flat.text, Scan::new(elements, around.lists));
            message(plan, community, event, around, (&flat, *to_bot, &mut heard), &mut out);
            plan.look_up(&out.runs, &mut heard);
            out.words = heard.scan.found();
            return out;
        }
        EventKind::Button { value, .. } => {
            button(plan, community, event, around, value, &mut out);
            return out;
        }
        EventKind::Joined { .. } => &|trigger| matches!(trigger, Trigger::Join),
        EventKind::Left { .. } => &|trigger| matches!(trigger, Trigger::Leave),
        // Who asks to be the bot's friend asks nothing of a group.
        EventKind::JoinRequest { .. } if event.group.is_none() => return out,
        EventKind::JoinRequest { .. } => &|trigger| matches!(trigger, Trigger::JoinRequest),
        EventKind::Reaction { emoji, added: true, .. } => &move |trigger| match trigger {
            Trigger::Reaction(wanted) => wanted.is_empty() || wanted.contains(emoji),
            _ => false,
        },
        EventKind::Tick(tick) => {
            let routine = tick.name.strip_prefix(ROUTINE_MARK);
            let wanted = |trigger: &Trigger| match (trigger, routine) {
                (Trigger::Timer(name), None) => *name == tick.name,
                (Trigger::Every(spec), Some(name)) => spec.name == name,
                // What config.toml and commands make is said by one handler for all.
                (Trigger::Timer(name), Some(_)) => name == TEXT && tick.script.as_str() == ROUTINES,
                _ => false,
            };
            plan.add_runs_of(&tick.script, &wanted, community, now, &mut out.runs);
            return out;
        }
        EventKind::Reaction { .. }
        | EventKind::Edited { .. }
        | EventKind::Deleted { .. }
        | EventKind::Updated
        | EventKind::Silenced { .. }
        | EventKind::BotJoined { .. }
        | EventKind::BotLeft { .. }
        | EventKind::Uploaded { .. }
        | EventKind::Poked { .. }
        | EventKind::Honored { .. }
        | EventKind::Befriended
        | EventKind::Online(_)
        | EventKind::Gap { .. } => return out,
    };
    plan.add_runs(true, trigger, community, now, &mut out.runs);
    plan.add_runs(false, trigger, community, now, &mut out.runs);
    out
}

/// The same for talk: a message that is no command, in a community where no script rests. This
/// decision follows from the event, the plan and the lists alone. `None`: it is something else.
pub fn dispatch_talk(
    plan: &Plan,
    community: &Community,
    event: &Event,
    lists: &WordLists,
    now: TimeMs,
) -> Option<Dispatch> {
    let EventKind::Message { elements, to_bot, .. } = &event.envelope.kind else { return None };
    let flat = flatten(elements, &event.envelope.account);
    let decides_itself = event.which.is_empty() && community.breakers.is_empty();
    if !decides_itself || !command::is_talk(plan, &flat, *to_bot) {
        return None;
    }
    let mut out = Dispatch::default();
    let mut heard = Heard::new(&flat.text, Scan::new(elements, lists));
    plan.add_message_runs(true, &mut heard, community, now, &mut out.runs);
    plan.add_message_runs(false, &mut heard, community, now, &mut out.runs);
    plan.look_up(&out.runs, &mut heard);
    out.words = heard.scan.found();
    Some(out)
}

/// Rules, then the command, then the other features (decided in this order so that a rule can
/// stop what comes after it).
fn message(
    plan: &Plan,
    community: &mut Community,
    event: &Event,
    around: Circumstances<'_>,
    (flat, to_bot, heard): (&Flat, bool, &mut Heard<'_>),
    out: &mut Dispatch,
) {
    let now = around.now;
    plan.add_message_runs(true, heard, community, now, &mut out.runs);
    // Bots do not command bots.
    let actor = event.person.and_then(|person| Some((person, community.members.get(&person)?)));
    if let Some((person, member)) = actor
        && !member.is_bot
        && !event.stale
    {
        let asked = command::parse(plan, community, flat, to_bot, now);
        add_command(plan, community, person, asked, around, out);
    }
    plan.add_message_runs(false, heard, community, now, &mut out.runs);
}

fn button(
    plan: &Plan,
    community: &mut Community,
    event: &Event,
    around: Circumstances<'_>,
    value: &str,
    out: &mut Dispatch,
) {
    let Some(person) = event.person else { return };
    let now = around.now;
    let elements = [crate::event::Element::Text(value.to_owned())];
    let flat = flatten(&elements, &event.envelope.account);
    let asked = command::parse(plan, community, &flat, false, now);
    if let Asked::Command { .. } = asked {
        add_command(plan, community, person, asked, around, out);
    } else {
        let wanted = |trigger: &Trigger| matches!(trigger, Trigger::Button);
        plan.add_runs(true, &wanted, community, now, &mut out.runs);
        plan.add_runs(false, &wanted, community, now, &mut out.runs);
    }
}

fn add_command(
    plan: &Plan,
    community: &mut Community,
    person: PersonId,
    asked: Asked<'_>,
    around: Circumstances<'_>,
    out: &mut Dispatch,
) {
    match asked {
        Asked::Nothing => {}
        Asked::Unknown => out.unknown = true,
        Asked::Usage(usage) => out.usage = Some(usage),
        Asked::Stranger(command) => {
            // Who may not use it most likely did not mean it.
            let may = community.members.get(&person).is_some_and(|m| m.role >= command.role);
            if may {
                out.refused = Some((Refusal::new("not_member"), command.quiet));
            }
        }
        Asked::Command { script, handler, command, args } => {
            let allowed = if plan.is_paused(script, community, around.now) {
                Err(Refusal::new("paused"))
            } else {
                may(community, person, command, (script, handler), around)
            };
            match allowed {
                Err(refusal) => out.refused = Some((refusal, command.quiet)),
                Ok(()) => {
                    let Some(run) = plan.run(script, handler, args) else { return };
                    out.command = Some(CommandRun {
                        run: out.runs.len(),
                        script: script.clone(),
                        handler,
                        cooldown_ms: command.cooldown_ms,
                        quiet: command.quiet,
                    });
                    out.runs.push(run);
                }
            }
        }
    }
}

/// Role, trust, cooldown, rate.
fn may(
    community: &mut Community,
    person: PersonId,
    command: &Command,
    (script, handler): (&ScriptName, HandlerId),
    Circumstances { limits, now, is_overloaded, .. }: Circumstances<'_>,
) -> Result<(), Refusal> {
    let Some(member) = community.members.get(&person) else {
        return Err(Refusal::new("not_member"));
    };
    if member.role < command.role {
        return Err(Refusal::new("role").with("role", command.role.as_str()));
    }
    if member.trust() < command.trust {
        return Err(Refusal::new("trust")
            .with("need", i64::from(command.trust))
            .with("have", i64::from(member.trust())));
    }
    let staff = member.role.is_staff();
    if is_overloaded && !staff {
        return Err(Refusal::new(OVERLOADED));
    }
    if let Some(until) = community.cooldowns.get(&(person, script.clone(), handler))
        && now < *until
    {
        return Err(Refusal::new("cooldown").with("seconds", (until - now + 999) / 1000));
    }
    if !staff && !within_rate(community, person, limits, now) {
        return Err(Refusal::new("busy"));
    }
    Ok(())
}

fn within_rate(community: &mut Community, person: PersonId, limits: &Limits, now: TimeMs) -> bool {
    let count = i64::from(limits.commands.max(1));
    let each_ms = limits.commands_period_s * 1000 / count;
    let arrival = community.command_rate.entry(person).or_insert(now);
    let base = (*arrival).max(now);
    if base - now > (count - 1) * each_ms {
        return false;
    }
    *arrival = base + each_ms;
    true
}

/// Settings and arguments of a run travel with it.
pub(crate) fn no_args() -> ValueMap {
    ValueMap::new()
}
