//! Host calls by name: which function of the domain answers, and reading their arguments.

use super::{Stop, Turn};
use crate::community::Scope;
use crate::id::{GroupId, PersonId};
use crate::script::duration;
use crate::value::{Value, ValueMap};

type Answer = Result<Value, Stop>;

/// Answers one call.
pub(super) fn answer(turn: &mut Turn, name: &str, args: &[Value]) -> Answer {
    let args = Args { name, args };
    match name {
        "points::balance" => turn.points_balance(&args),
        "points::grant" => turn.points_grant(&args),
        "points::spend" => turn.points_spend(&args),
        "points::transfer" => turn.points_transfer(&args),
        "points::hold" => turn.points_hold(&args),
        "points::release" => turn.points_end_hold(&args, false),
        "points::settle" => turn.points_end_hold(&args, true),
        "points::reverse" => turn.points_reverse(&args),
        "points::fund" => turn.points_fund(&args),
        "points::campaigns" => Ok(turn.points_campaigns()),
        "points::expiring" => turn.points_expiring(&args),
        "points::log" => turn.points_log(&args),
        "points::top" => turn.points_top(&args),
        "points::rank" => turn.points_rank(&args),
        "red_packet::send" => turn.packet_send(&args),
        "red_packet::grab" => turn.packet_grab(&args),
        "red_packet::refund" => turn.packet_refund(&args),
        "red_packet::get" => turn.packet_get(&args),
        "red_packet::verify" => turn.packet_verify(&args),
        "checkin::mark" => turn.checkin_mark(&args),
        "checkin::status" => turn.checkin_status(&args),
        "score::explain" => turn.score_explain(&args),
        "score::report" => turn.score_report(),
        "score::review" => turn.score_review(),
        "rules::current" => Ok(turn.rules_current()),
        "rules::set" => turn.rules_set(&args),
        "rules::accept" => turn.rules_accept(&args),
        "rules::accepted" => turn.rules_accepted(&args),
        "routine::add" => turn.routine_add(&args),
        "routine::remove" => turn.routine_remove(&args),
        "routine::list" => Ok(turn.routine_list()),
        "routine::runs" => Ok(turn.routine_runs()),
        "delivery::doubtful" => turn.delivery_doubtful(),
        "delivery::retry" => turn.delivery_retry(&args),
        "delivery::drop" => turn.delivery_drop(&args),
        "state::get" => turn.state_get(&args),
        "state::set" => turn.state_set(&args),
        "state::incr" => turn.state_incr(&args),
        "state::remove" => turn.state_remove(&args),
        "state::top" => turn.state_top(&args),
        "words::has" => turn.words_hits(&args).map(|hits| (!hits.is_empty()).into()),
        "words::hits" => turn.words_hits(&args).map(Value::List),
        "news::pick" => turn.news_pick(&args),
        "news::mark" => turn.news_mark(&args),
        "news::sources" => Ok(turn.news_sources()),
        "news::editors" => Ok(turn.news_editors()),
        "privacy::days" => Ok(turn.privacy_days()),
        "privacy::kept" => turn.privacy_export(),
        "privacy::forget" => turn.privacy_forget(),
        "privacy::forget_words" => turn.privacy_forget_words(),
        "privacy::audit_head" => turn.privacy_audit_head(),
        "help::list" => Ok(turn.help_list()),
        _ => Err(Stop::Wrong(format!("the host does not know `{name}`"))),
    }
}

/// Arguments of one call, read with errors that name the place.
pub(super) struct Args<'a> {
    name: &'a str,
    args: &'a [Value],
}

impl<'a> Args<'a> {
    fn wrong(&self, index: usize, wanted: &str) -> Stop {
        let got = self.args.get(index).map_or("nothing", Value::type_name);
        Stop::Wrong(format!("`{}` wants {wanted} as argument {}, got {got}", self.name, index + 1))
    }

    pub(super) fn get(&self, index: usize) -> Option<&'a Value> {
        self.args.get(index).filter(|value| **value != Value::Unit)
    }

    pub(super) fn member(&self, index: usize) -> Result<PersonId, Stop> {
        match self.get(index) {
            Some(Value::Member(member)) => Ok(member.id),
            _ => Err(self.wrong(index, "a member")),
        }
    }

    pub(super) fn int(&self, index: usize) -> Result<i64, Stop> {
        match self.get(index) {
            Some(Value::Int(number)) => Ok(*number),
            _ => Err(self.wrong(index, "a whole number")),
        }
    }

    pub(super) fn int_or(&self, index: usize, default: i64) -> Result<i64, Stop> {
        if self.get(index).is_none() { Ok(default) } else { self.int(index) }
    }

    /// A length of time, ms: a text such as `7d`, or a number.
    pub(super) fn duration(&self, index: usize) -> Result<i64, Stop> {
        let ms = match self.get(index) {
            Some(Value::Int(ms)) => Some(*ms),
            Some(Value::Text(text)) => duration::parse(text),
            _ => None,
        };
        ms.filter(|ms| (0..=duration::MAX_MS).contains(ms))
            .ok_or_else(|| self.wrong(index, "a duration"))
    }

    pub(super) fn text(&self, index: usize) -> Result<&'a str, Stop> {
        match self.get(index) {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(self.wrong(index, "text")),
        }
    }

    pub(super) fn list(&self, index: usize) -> Result<&'a [Value], Stop> {
        match self.get(index) {
            Some(Value::List(items)) => Ok(items),
            _ => Err(self.wrong(index, "an array")),
        }
    }

    pub(super) fn map(&self, index: usize) -> Result<Option<&'a ValueMap>, Stop> {
        match self.get(index) {
            None => Ok(None),
            Some(Value::Map(map)) => Ok(Some(map)),
            Some(_) => Err(self.wrong(index, "a map")),
        }
    }

    /// A number, or text that is one; `None` where absent.
    pub(super) fn number(&self, index: usize) -> Result<Option<i64>, Stop> {
        match self.get(index) {
            None => Ok(None),
            Some(Value::Int(number)) => Ok(Some(*number)),
            Some(Value::Text(text)) => {
                let text = text.trim().trim_start_matches('#');
                text.parse().map(Some).map_err(|_| self.wrong(index, "a number"))
            }
            Some(_) => Err(self.wrong(index, "a number")),
        }
    }

    pub(super) fn scope(&self, index: usize) -> Result<Scope, Stop> {
        match self.get(index) {
            Some(Value::Member(member)) => Ok(Scope::Member(member.id)),
            Some(Value::Text(word)) if word == "community" => Ok(Scope::Community),
            Some(Value::Map(map)) => match map.get("group") {
                Some(Value::Int(id)) => Ok(Scope::Group(GroupId(*id))),
                _ => Err(self.wrong(index, "a member, a group or \"community\"")),
            },
            _ => Err(self.wrong(index, "a member, a group or \"community\"")),
        }
    }
}

impl Turn {
    fn words_hits(&self, args: &Args<'_>) -> Result<Vec<Value>, Stop> {
        let hits = self.world.words().hits(args.text(1)?, args.text(0)?);
        Ok(hits.into_iter().map(Value::Text).collect())
    }

    /// A sentence that is a key of the catalogue, in the community's language; any other text as it is.
    pub(super) fn worded(&self, text: &str) -> String {
        crate::text::text(&self.plan.locale, text, &ValueMap::new())
    }

    /// Commands that are on here and that the actor may use.
    fn help_list(&self) -> Value {
        let actor = self.event.person.and_then(|person| self.community.members.get(&person));
        let (role, trust) =
            actor.map_or((Default::default(), 0), |member| (member.role, member.trust()));
        let commands = self.plan.commands_for(role, trust).map(|(script, command)| {
            let locale = &self.plan.locale;
            let words = std::iter::once(&command.verb).chain(&command.alias);
            Value::map([
                ("script", script.as_str().into()),
                ("verb", crate::dispatch::verb(command, locale).into()),
                ("usage", crate::dispatch::usage(command, locale).into()),
                ("help", self.worded(&command.help).into()),
                ("words", Value::List(words.map(|word| word.as_str().into()).collect())),
            ])
        });
        Value::List(commands.collect())
    }
}
