//! The head of a transcript: time, chance, scripts in force and members, in TOML between `+++`.

use std::collections::BTreeMap;
use std::ops::Range;

use chrono::{NaiveDateTime, TimeZone as _};
use serde::Deserialize;
use toml::Spanned;

use crate::adapter::console::{HOME, parse_span};
use crate::clock::TimeMs;
use crate::config::{self, Mode, ScriptConfig};
use crate::value::Role;
use crate::zone::Zone;

use super::{Fault, nearest};

/// When a transcript begins that does not say: a Monday morning.
const START: &str = "2026-11-23 09:00";

/// How long members have been there who do not say.
const JOINED_BEFORE: &str = "60d";

/// Trust of members who do not say.
const TRUST: u8 = 2;

/// The folder that a transcript stands in: where its scripts come from when it names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// scripts/, or anywhere else.
    Features,
    /// rules/.
    Rules,
}

/// A checked head.
#[derive(Clone, Debug)]
pub struct FrontMatter {
    /// When it begins, Unix ms.
    pub start: TimeMs,
    /// The community's zone.
    pub timezone: Zone,
    /// The community's language.
    pub locale: String,
    /// Seed of all chance.
    pub seed: u64,
    /// Features in force; `None` is every one when the transcript stands among them.
    pub features: Option<Vec<String>>,
    /// Rules in force; `None` is every one when the transcript stands among them.
    pub rules: Option<Vec<String>>,
    /// Mode of rules.
    pub mode: Mode,
    /// Settings by script, with their places in the file.
    pub settings: BTreeMap<String, ScriptConfig>,
    /// Members in the order of the file.
    pub members: Vec<MemberEntry>,
    /// Groups, the first in front.
    pub groups: Vec<String>,
}

/// A member who is there from the start.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberEntry {
    /// Her name.
    pub name: String,
    /// What she may do.
    pub role: Role,
    /// Her points.
    pub points: i64,
    /// Her trust, 0–4.
    pub trust: u8,
    /// Since when, Unix ms.
    pub joined_at: TimeMs,
    /// A bot's account.
    pub is_bot: bool,
    /// Her groups; empty is all.
    pub groups: Vec<String>,
}

impl MemberEntry {
    /// A member of whom only the name is known.
    pub fn long_standing(name: &str, start: TimeMs) -> Self {
        let joined_at = start - parse_span(JOINED_BEFORE).unwrap_or_default();
        Self {
            name: name.to_owned(),
            role: Role::Member,
            points: 0,
            trust: TRUST,
            joined_at,
            is_bot: false,
            groups: Vec::new(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    start: Option<Spanned<String>>,
    timezone: Option<Spanned<String>>,
    locale: Option<Spanned<String>>,
    seed: Option<u64>,
    features: Option<Vec<String>>,
    rules: Option<Vec<String>>,
    mode: Option<Spanned<String>>,
    #[serde(default)]
    settings: BTreeMap<Spanned<String>, BTreeMap<Spanned<String>, Spanned<toml::Value>>>,
    #[serde(default)]
    member: BTreeMap<Spanned<String>, RawMember>,
    #[serde(default)]
    group: BTreeMap<Spanned<String>, RawGroup>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMember {
    role: Option<Spanned<String>>,
    #[serde(default)]
    points: i64,
    trust: Option<Spanned<i64>>,
    joined: Option<Spanned<String>>,
    #[serde(default)]
    bot: bool,
    #[serde(default)]
    groups: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {}

/// Where the head stands: for the lines of errors and the spans of settings.
struct Origin<'a> {
    path: &'a str,
    text: &'a str,
    offset: usize,
    first_line: usize,
}

impl Origin<'_> {
    fn fault(&self, span: Range<usize>, what: impl Into<String>) -> Fault {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        Fault::at(self.path, self.first_line + before.matches('\n').count(), what)
    }

    fn shift(&self, span: Range<usize>) -> Range<usize> {
        span.start + self.offset..span.end + self.offset
    }
}

impl FrontMatter {
    /// What holds where nothing is written.
    pub fn default_head() -> Self {
        // The constants of this file are valid, as a test shows.
        Self::read("", "", 0, 1).expect("the default head is valid")
    }

    /// Reads the TOML between the `+++` lines; `offset` and `first_line` say where it begins.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn read(path: &str, text: &str, offset: usize, first_line: usize) -> Result<Self, Fault> {
        let origin = Origin { path, text, offset, first_line };
        let raw: Raw = toml::from_str(text).map_err(|error| {
            origin.fault(error.span().unwrap_or(0..0), error.message().replace('\n', " "))
        })?;
        let timezone = read_zone(&origin, raw.timezone.as_ref())?;
        let start = match &raw.start {
            Some(start) => local_time(timezone, start.get_ref()).ok_or_else(|| {
                let what = "`start` is a local time like \"2026-11-23 09:00\"";
                origin.fault(start.span(), what)
            })?,
            None => local_time(timezone, START).unwrap_or_default(),
        };
        let groups = in_order(raw.group).map(|(name, _)| name.into_inner()).collect();
        let groups = if Vec::is_empty(&groups) { vec![HOME.to_owned()] } else { groups };
        let members = in_order(raw.member)
            .map(|(name, member)| read_member(&origin, name, member, start, timezone, &groups))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            start,
            timezone,
            locale: read_locale(&origin, raw.locale.as_ref())?,
            seed: raw.seed.unwrap_or(1),
            features: raw.features,
            rules: raw.rules,
            mode: read_mode(&origin, raw.mode.as_ref())?,
            settings: read_settings(&origin, raw.settings),
            members,
            groups,
        })
    }

    /// Whether a script is in force.
    pub fn picks(&self, home: Home, name: &str, is_rule: bool) -> bool {
        let (named, is_home) = if is_rule {
            (&self.rules, home == Home::Rules)
        } else {
            (&self.features, home == Home::Features)
        };
        match named {
            Some(names) => names.iter().any(|known| known == name),
            None => is_home,
        }
    }
}

fn in_order<T>(map: BTreeMap<Spanned<String>, T>) -> impl Iterator<Item = (Spanned<String>, T)> {
    let mut entries: Vec<_> = map.into_iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries.into_iter()
}

fn read_zone(origin: &Origin<'_>, zone: Option<&Spanned<String>>) -> Result<Zone, Fault> {
    let Some(zone) = zone else { return Ok(Zone::shanghai()) };
    zone.get_ref().parse().map_err(|_| {
        let near = nearest(zone.get_ref(), Zone::names());
        let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        origin.fault(zone.span(), format!("`{}` is no time zone{hint}", zone.get_ref()))
    })
}

fn read_locale(origin: &Origin<'_>, locale: Option<&Spanned<String>>) -> Result<String, Fault> {
    match locale {
        None => Ok("zh".to_owned()),
        Some(word) if ["zh", "en"].contains(&word.get_ref().as_str()) => Ok(word.get_ref().clone()),
        Some(word) => Err(origin.fault(word.span(), "`locale` is \"zh\" or \"en\"")),
    }
}

fn read_mode(origin: &Origin<'_>, mode: Option<&Spanned<String>>) -> Result<Mode, Fault> {
    match mode.map(|word| word.get_ref().as_str()) {
        None | Some("live") => Ok(Mode::Live),
        Some("shadow") => Ok(Mode::Shadow),
        Some(_) => {
            let span = mode.map_or(0..0, Spanned::span);
            Err(origin.fault(span, "`mode` is \"live\" or \"shadow\""))
        }
    }
}

type RawSettings = BTreeMap<Spanned<String>, BTreeMap<Spanned<String>, Spanned<toml::Value>>>;

fn read_settings(origin: &Origin<'_>, raw: RawSettings) -> BTreeMap<String, ScriptConfig> {
    let script = |(name, values): (Spanned<String>, BTreeMap<_, _>)| {
        let span = origin.shift(name.span());
        let setting = |(key, value): (Spanned<String>, Spanned<toml::Value>)| {
            let (key_span, span) = (origin.shift(key.span()), origin.shift(value.span()));
            let value = value.into_inner();
            (key.into_inner(), config::Spanned { value, span, key_span })
        };
        let settings = values.into_iter().map(setting).collect();
        (name.into_inner(), ScriptConfig { settings, span, ..ScriptConfig::default() })
    };
    raw.into_iter().map(script).collect()
}

fn read_member(
    origin: &Origin<'_>,
    name: Spanned<String>,
    raw: RawMember,
    start: TimeMs,
    zone: Zone,
    groups: &[String],
) -> Result<MemberEntry, Fault> {
    crate::adapter::console::check_name(name.get_ref())
        .map_err(|misread| origin.fault(name.span(), misread.0))?;
    let role = match &raw.role {
        None => Role::Member,
        Some(word) => Role::parse(word.get_ref()).ok_or_else(|| {
            origin.fault(word.span(), "`role` is \"owner\", \"admin\", \"mod\" or \"member\"")
        })?,
    };
    let trust = match &raw.trust {
        None => TRUST,
        Some(level) => u8::try_from(*level.get_ref())
            .ok()
            .filter(|level| *level <= 4)
            .ok_or_else(|| origin.fault(level.span(), "`trust` is 0 to 4"))?,
    };
    let joined = raw.joined.as_ref().map_or(JOINED_BEFORE, |text| text.get_ref().as_str());
    let joined_at = joined_time(joined, start, zone).ok_or_else(|| {
        let span = raw.joined.as_ref().map_or(0..0, Spanned::span);
        let what = "`joined` is how long before the start, like \"3d\", or a local time";
        origin.fault(span, what)
    })?;
    if let Some(lost) = raw.groups.iter().find(|group| !groups.contains(group.get_ref())) {
        let what = format!("there is no `[group.\"{}\"]`; add it", lost.get_ref());
        return Err(origin.fault(lost.span(), what));
    }
    let groups = raw.groups.into_iter().map(Spanned::into_inner).collect();
    let (points, is_bot, name) = (raw.points, raw.bot, name.into_inner());
    Ok(MemberEntry { name, role, points, trust, joined_at, is_bot, groups })
}

fn joined_time(text: &str, start: TimeMs, zone: Zone) -> Option<TimeMs> {
    match text.strip_suffix(" days before start") {
        Some(days) => Some(start - days.trim().parse::<u16>().ok().map(i64::from)? * 86_400_000),
        None => parse_span(text).map(|ms| start - ms).or_else(|| local_time(zone, text)),
    }
}

fn local_time(zone: Zone, text: &str) -> Option<TimeMs> {
    let formats = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"];
    let time = formats.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())?;
    Some(zone.from_local_datetime(&time).earliest()?.timestamp_millis())
}
