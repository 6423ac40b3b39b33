//! The config.toml that ships: it runs as it is, and explains every key with its default.
//!
//! Also that config.schema.json is what the tables say (`UPDATE=1 cargo test` rewrites it).

use std::path::Path;

use qundao::adapter::{ADAPTERS, AdapterDefault};
use qundao::config::keys::{self, KeyValue};
use qundao::config::{self, Config};

const SHIPPED: &str = include_str!("../config.toml");

fn shipped() -> Config {
    config::parse(SHIPPED, Path::new("config.toml"), &|_| None).expect("config.toml must be right")
}

#[test]
fn it_runs_as_it_is() {
    let config = shipped();
    assert_eq!(config.adapters["console"].text("member"), Some("阿明"));
    let community = &config.communities[0];
    assert_eq!((community.id.as_str(), community.name.as_str()), ("console", "群岛"));
    assert_eq!(community.groups[0].as_str(), "console:群岛");
    assert_eq!(community.timezone, Some(qundao::zone::Zone::shanghai()));
    assert_eq!(config.roles.len(), 1);
    let features: Vec<_> = config.scripts.features.keys().map(String::as_str).collect();
    assert_eq!(
        features,
        [
            "activity",
            "checkin",
            "daily_news",
            "deliveries",
            "help",
            "points",
            "red_packet",
            "routines",
            "rules",
            "seed_users"
        ]
    );
    assert!(config.scripts.rules.contains_key("no-ads"));
}

#[test]
fn it_warns_of_nothing() {
    let around = config::Surroundings { env: &|_| None, adapters: ADAPTERS };
    let (_, found) = config::inspect(SHIPPED, Path::new("config.toml"), around);
    assert_eq!(found.to_string(), "");
}

/// The lines of one section, of its sub-tables no longer.
fn section(head: &str) -> Vec<&'static str> {
    let mut lines = SHIPPED.lines().skip_while(|line| *line != head);
    assert!(lines.next().is_some(), "config.toml has no `{head}`");
    lines.take_while(|line| !line.starts_with('[')).collect()
}

/// The key's line, shown as a default or set, below an explanation in both languages.
fn explained(head: &str, name: &str, about: &str, default: Option<&str>) {
    let lines = section(head);
    let start = format!("{name} = ");
    let at = lines
        .iter()
        .position(|line| line.strip_prefix("# ").unwrap_or(line).starts_with(&start))
        .unwrap_or_else(|| panic!("{head} does not show `{name}`"));
    let is_commented = lines[at].starts_with("# ");
    let value = lines[at].split_once(" = ").map_or("", |(_, value)| value);
    if let Some(default) = default.filter(|_| is_commented) {
        assert_eq!(value, default, "{head} {name} shows another default");
    }
    assert_eq!(lines[at - 1], format!("# {about}"), "{head} {name}: the English sentence");
    let is_chinese = |line: &str| line.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    assert!(is_chinese(lines[at - 2]), "{head} {name}: the Chinese sentence");
}

#[test]
fn it_explains_every_key() {
    for (doc, default) in keys::all() {
        let head = match doc.section {
            several @ ("community" | "posting.slot" | "routine") => format!("[[{several}]]"),
            section => format!("[{section}]"),
        };
        if let Some(KeyValue::Counts(counts)) = default {
            let lines = section(&format!("[{}.{}]", doc.section, doc.name));
            for (effect, count) in counts {
                let shown = format!("# {effect} = {count}");
                assert!(lines.contains(&shown.as_str()), "[limits.effects] lacks `{shown}`");
            }
            assert!(SHIPPED.contains(&format!("# {}", doc.about)));
            continue;
        }
        explained(&head, doc.name, doc.about, default.map(|it| it.to_string()).as_deref());
    }
}

#[test]
fn it_explains_the_keys_of_every_adapter() {
    let keys = ADAPTERS.iter().flat_map(|spec| spec.keys.iter().map(move |key| (spec.name, key)));
    for (adapter, key) in keys {
        let default = match key.default {
            AdapterDefault::Required | AdapterDefault::Absent => None,
            AdapterDefault::Text(text) => Some(format!("{text:?}")),
            AdapterDefault::Int(number) => Some(number.to_string()),
            AdapterDefault::Bool(flag) => Some(flag.to_string()),
        };
        let head = format!("[adapters.{adapter}]");
        explained(&head, key.name, key.about, default.as_deref());
    }
}

#[test]
fn it_stays_right_when_every_default_is_written_out() {
    let uncommented: String = SHIPPED
        .lines()
        .map(|line| {
            let key = line.strip_prefix("# ").and_then(|rest| rest.split_once(" = "));
            let is_key = key
                .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
            // What only this community overrides would otherwise land in the community itself.
            let is_override = line == "# points = 10" || line == "# mode = \"shadow\"";
            let line = if is_key && !is_override { &line[2..] } else { line };
            format!("{line}\n")
        })
        .collect();
    let path = Path::new("config.toml");
    let written = config::parse(&uncommented, path, &|_| None).unwrap_or_else(|found| {
        panic!("{}", config::render(&found, &uncommented, false));
    });
    let changed: Vec<_> = config::changes(&shipped(), &written)
        .into_iter()
        .filter(|change| {
            !change.path.starts_with("/features/") && !change.path.starts_with("/rules/")
        })
        .map(|change| change.to_string())
        .collect();
    assert_eq!(
        changed,
        [
            "`[adapters.console] member`: nothing → \"阿明\" (takes effect after a restart)",
            "`[[community]] console posting`: nothing → \"quiet\"",
            "`[routine.weekend] not_after`: nothing → \"22:30\"",
            "`[routine.weekend] kind`: nothing → \"practical\"",
        ]
    );
}

#[test]
fn the_schema_on_disk_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.schema.json");
    let current = serde_json::to_string_pretty(&config::schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let on_disk = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(on_disk == current, "config.schema.json is old: run `UPDATE=1 cargo test`");
    assert!(SHIPPED.starts_with("#:schema ./config.schema.json\n"));
}
