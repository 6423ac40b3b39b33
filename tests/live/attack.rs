//! Hostile scripts as rules of a live bot: put in by hot reload, fired, replaced by the next.

use std::path::{Path, PathBuf};

use crate::load::Load;
use crate::processes::Processes;
use crate::program::Program;

/// Part of a file name: only these are played.
pub const ONLY: &str = "QUNDAO_HOSTILE_ONLY";

/// Limits with which `killers` end their process: what the engine allows is too much for it. Their
/// time is ample, so that memory ends first where the machine is slow to give it.
pub const RAISED: &str = "script_string_bytes = 16777216\nscript_entries = 1000000\n\
    script_operations = 10000000000\nscript_handler_ms = 600\nscript_memory_mib = 384";

/// A script and what it says of its own end.
pub struct Script {
    pub name: String,
    pub text: String,
    pub loads: bool,
}

/// The scripts of one folder, in order.
pub fn corpus(folder: &str) -> Vec<Script> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile").join(folder);
    let only = std::env::var(ONLY).unwrap_or_default();
    let entries = std::fs::read_dir(path).expect("a folder").map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.to_string_lossy().contains(&only)).collect();
    files.sort();
    let script = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a script");
        let loads = text.lines().nth(1) != Some("// expect: refused");
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Script { name: format!("{folder}/{stem}"), text, loads }
    };
    files.into_iter().map(script).collect()
}

/// Scripts that are in force at the same time, each in a community of its own.
pub struct Round<'a> {
    pub scripts: &'a [Script],
    /// How often each is fired, at once.
    pub shots: usize,
}

/// What a round came to.
pub struct Ended {
    /// Which scripts came into force.
    pub loaded: Vec<bool>,
    pub during: Processes,
}

impl Round<'_> {
    /// Puts the scripts in force, fires them and waits until their communities answer again.
    pub async fn play(&self, program: &mut Program, load: &Load) -> Ended {
        let rules: Vec<(i64, &str)> =
            (0..).zip(self.scripts).map(|(place, script)| (place, script.text.as_str())).collect();
        let loaded = program.install(&rules).await;
        let places: Vec<i64> = rules.iter().map(|(place, _)| *place).collect();
        let armed = places.iter().zip(&loaded).filter(|(_, loaded)| **loaded);
        let armed: Vec<i64> = armed.map(|(place, _)| *place).collect();
        for _ in 0..self.shots {
            for place in &armed {
                load.say(*place, "开火");
            }
        }
        let token = self.scripts.first().map_or("", |script| &script.name);
        load.all_alive(&places, token).await;
        Ended { loaded, during: Processes::of(program.id()) }
    }
}
