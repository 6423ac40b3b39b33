//! Bad configurations and the whole text that a person sees for each: tests/bad_configs/*.toml.
//!
//! They are read against two adapters of our own, so that secrets are tested without a platform.

use std::path::Path;

use qundao::adapter::{AdapterDefault, AdapterKey, AdapterKind, AdapterSpec};
use qundao::config::{self, Surroundings};

static ADAPTERS: &[AdapterSpec] = &[
    AdapterSpec {
        name: "console",
        about: "a group chat in this terminal",
        log: "",
        keys: &[key("member", AdapterKind::Text, AdapterDefault::Text("阿明"))],
        build: |_| anyhow::bail!("never built"),
    },
    AdapterSpec {
        name: "onebot",
        about: "QQ groups",
        log: "",
        keys: &[
            key("url", AdapterKind::Text, AdapterDefault::Required),
            key("token", AdapterKind::Secret, AdapterDefault::Absent),
            key("pace_ms", AdapterKind::Int, AdapterDefault::Int(500)),
            key("history", AdapterKind::Bool, AdapterDefault::Bool(false)),
        ],
        build: |_| anyhow::bail!("never built"),
    },
];

const fn key(name: &'static str, kind: AdapterKind, default: AdapterDefault) -> AdapterKey {
    AdapterKey { name, kind, default, about: "An example." }
}

/// The environment of every case.
fn env(name: &str) -> Option<String> {
    (name == "ONEBOT_TOKEN").then(|| "hunter2".to_owned())
}

#[test]
fn every_bad_configuration_says_what_where_and_what_next() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_configs");
    let mut cases: Vec<_> = std::fs::read_dir(&folder)
        .expect("the cases exist")
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 20, "only {} cases", cases.len());
    for path in cases {
        let text = std::fs::read_to_string(&path).expect("a readable case");
        let around = Surroundings { env: &env, adapters: ADAPTERS };
        let (config, found) = config::inspect(&text, Path::new("config.toml"), around);
        let picture = config::render(&found, &text, false);
        assert!(found.has_errors(), "{} is not bad:\n{picture}", path.display());
        for shown in [&picture, &config::render(&found, &text, true), &found.to_string()] {
            assert!(!shown.contains("hunter2"), "{} shows its secret", path.display());
        }
        assert!(!format!("{found:?}{config:?}").contains("hunter2"), "{}", path.display());
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, picture);
        });
    }
}

/// One mistyped character anywhere: no panic, and no secret in the picture.
#[test]
fn a_slip_anywhere_never_shows_a_secret() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_configs");
    let look = |text: &str| {
        let around = Surroundings { env: &env, adapters: ADAPTERS };
        let (_, found) = config::inspect(text, Path::new("config.toml"), around);
        config::render(&found, text, true)
    };
    for name in ["10-plain-secret", "13-mistyped-secret", "16-duplicate-keys", "20-wide-lines"] {
        let text = std::fs::read_to_string(folder.join(name).with_extension("toml"))
            .expect("a readable case");
        for (at, c) in text.char_indices() {
            let (before, after) = (&text[..at], &text[at + c.len_utf8()..]);
            for slip in ["", "\"", "[", "]", "\n", "=", "#", "岛", "\r", "'"] {
                let text = format!("{before}{slip}{after}");
                let picture = look(&text);
                assert!(!picture.contains("hunter2"), "{name}:\n{text}\n{picture}");
            }
            look(before);
        }
    }
}
