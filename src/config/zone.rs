//! Time zones, and the one that was meant.

use super::keys::Kind;
use super::nearest::{did_you_mean, nearest};
use super::read::{Node, Reader};
use crate::zone::Zone;

/// The next step where nothing is near.
const EXAMPLE: &str =
    "write an IANA name, a continent and a city: `\"Asia/Shanghai\"`, `\"Europe/Paris\"`";

/// Zones that people look for under a name that is not theirs.
const ZONE_ALIASES: &[(&str, &str)] = &[
    ("beijing", "Asia/Shanghai"),
    ("asia/beijing", "Asia/Shanghai"),
    ("china", "Asia/Shanghai"),
    ("cst", "Asia/Shanghai"),
    ("utc+8", "Asia/Shanghai"),
    ("gmt+8", "Asia/Shanghai"),
    ("+08:00", "Asia/Shanghai"),
    ("北京", "Asia/Shanghai"),
    ("上海", "Asia/Shanghai"),
];

impl Reader<'_> {
    /// A zone by its IANA name.
    pub(super) fn zone(&mut self, path: &str, node: &Node<'_>) -> Option<Zone> {
        let Some(text) = node.get_ref().as_str() else {
            self.wrong_type(path, Kind::Zone.wants(), node, Some(EXAMPLE.to_owned()));
            return None;
        };
        if let Ok(zone) = text.parse::<Zone>() {
            return Some(zone);
        }
        let near = nearest_zone(text);
        let message = format!("unknown time zone `{text}`{}", did_you_mean(near));
        let mut problem = self.error(path, node.span(), message);
        if near.is_none() {
            problem.help = Some(EXAMPLE.to_owned());
        }
        self.note(problem);
        None
    }
}

fn nearest_zone(text: &str) -> Option<&'static str> {
    let lower = text.to_lowercase().replace(' ', "_");
    if let Some((_, zone)) = ZONE_ALIASES.iter().find(|(alias, _)| *alias == lower) {
        return Some(zone);
    }
    // `Etc/GMT+8` is eight hours west of Greenwich: never propose it.
    let names = || Zone::names().filter(|it| !it.starts_with("Etc/"));
    let city =
        |name: &&str| name.rsplit('/').next().is_some_and(|city| city.to_lowercase() == lower);
    names().find(city).or_else(|| nearest(text, names().filter(|name| name.contains('/'))))
}

#[cfg(test)]
mod tests {
    use super::nearest_zone;

    #[test]
    fn finds_the_zone_that_was_meant() {
        let check = |word, expected| assert_eq!(nearest_zone(word), expected, "{word}");
        check("shanghai", Some("Asia/Shanghai"));
        check("GMT+8", Some("Asia/Shanghai"));
        check("New York", Some("America/New_York"));
        check("Europe/Pariss", Some("Europe/Paris"));
        check("GMT+5", None);
    }
}
