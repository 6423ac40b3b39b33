//! The built program in a folder of its own, on a simulated QQ account: started, given scripts by
//! hot reload, and listened to. It is the whole product, with its children, filter and database.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::sim::{Options, Sim};

/// Runs another build of the program than the one beside the test.
pub const PROGRAM: &str = "QUNDAO_LIVE_PROGRAM";
/// Nothing may take longer.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Groups of the attacked communities are numbered from here, those of the others from the second.
pub const ATTACKED: i64 = 100;
pub const HONEST: i64 = 1000;
/// Whoever writes.
pub const MEMBER: i64 = 20002;

/// What everybody may use.
const SCRIPTS: [(&str, &str); 2] = [
    ("scripts/echo.rhai", "//! 回声\ncommand(\"echo <t:text>\", |c| c.reply(c.t));\n"),
    ("scripts/alive.rhai", "//! 在吗\ncommand(\"在吗 <t:text>\", |c| c.reply(`在 ${c.t}`));\n"),
];
/// Looks at every message.
const NO_ADS: &str =
    "//! 反广告\non_message(|m| { if m.text.contains(\"广告\") { m.delete(\"广告\"); } });\n";
/// What stands where an attack will.
const PEACE: &str = "//! 无害\non_keyword([\"开火\"], |m| m.reply(\"砰\"));\n";

/// What is otherwise from run to run.
#[derive(Clone, Copy)]
pub struct Shape {
    /// Communities that share the load.
    pub honest: i64,
    /// Communities that are attacked, each with a rule of its own.
    pub attacked: i64,
    /// Lines of `[limits]`.
    pub limits: &'static str,
}

/// The running program.
pub struct Program {
    pub folder: tempfile::TempDir,
    pub sim: Sim,
    child: Child,
    lines: UnboundedReceiver<String>,
    round: usize,
    /// What it told since somebody last looked.
    pub told: Vec<String>,
}

impl Program {
    /// Starts it and waits until it has connected.
    pub async fn start(shape: Shape) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let sim = Sim::new(Options::default());
        for group in groups(HONEST, shape.honest).chain(groups(ATTACKED, shape.attacked)) {
            sim.world().add_group(group, "群");
            let self_id = sim.self_id();
            sim.world().join(group, self_id, "机器人", "admin");
            sim.world().join(group, MEMBER, "小红", "member");
        }
        let port = sim.listen().await.port();
        write(folder.path(), "config.toml", &config(shape, port));
        for (name, text) in SCRIPTS.into_iter().chain([("rules/no-ads.rhai", NO_ADS)]) {
            write(folder.path(), name, text);
        }
        for place in 0..shape.attacked {
            write(folder.path(), &rule(place), PEACE);
        }
        let mut child = command(folder.path()).spawn().expect("the program starts");
        let (sender, lines) = unbounded_channel();
        let errors = BufReader::new(child.stderr.take().expect("piped"));
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let program = Self { folder, sim, child, lines, round: 0, told: Vec::new() };
        program.sim.until_connected(1).await;
        program
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Puts texts in the places of attacked rules and waits for the reload; says of each whether it
    /// is in force.
    pub async fn install(&mut self, rules: &[(i64, &str)]) -> Vec<bool> {
        self.round += 1;
        for (place, text) in rules {
            replace(self.folder.path(), &rule(*place), text);
        }
        // Written last and read first: a reload that has it has all of the above.
        let round = self.round;
        replace(self.folder.path(), "rules/a-round.rhai", &format!("//! {round}\n"));
        let line = self.hear("a-round").await;
        let is_in = |(place, _): &(i64, &str)| {
            line.split([' ', ',']).any(|name| *name == *format!("attack-{place}"))
        };
        rules.iter().map(is_in).collect()
    }

    /// Waits for a line of the log with this in it; earlier ones go to what was told.
    pub async fn hear(&mut self, part: &str) -> String {
        let found = async {
            loop {
                let line = self.lines.recv().await.expect("the program lives");
                if line.contains(part) {
                    return line;
                }
                self.told.push(line);
            }
        };
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(line) => line,
            Err(_) => panic!("`{part}` was not told; told were {:#?}", self.told),
        }
    }

    /// Everything that was told by now.
    pub fn take_told(&mut self) -> Vec<String> {
        while let Ok(line) = self.lines.try_recv() {
            self.told.push(line);
        }
        std::mem::take(&mut self.told)
    }

    /// Tells it to stop; whether it did so well.
    pub fn stop(mut self) -> bool {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.expect("kill").success());
        self.child.wait().expect("a child").success()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have been stopped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// So many groups from a number on.
pub fn groups(first: i64, count: i64) -> impl Iterator<Item = i64> {
    first..first + count
}

fn rule(place: i64) -> String {
    format!("rules/attack-{place}.rhai")
}

fn config(shape: Shape, port: u16) -> String {
    let mut text = format!(
        "[bot]\nlocale = \"en\"\n[adapters.onebot]\nconnect = \"ws://127.0.0.1:{port}\"\n\
         messages_per_minute = 0\ngroup_messages_per_minute = 0\n\
         [limits]\ncommands = 100000\n{}\n",
        shape.limits
    );
    for place in 0..shape.attacked {
        let group = ATTACKED + place;
        text.push_str(&format!(
            "[rules.attack-{place}]\nenabled = false\n\
             [[community]]\nid = \"attacked-{place}\"\ngroups = [\"onebot:{group}\"]\n\
             [community.rules.attack-{place}]\nenabled = true\n"
        ));
    }
    text
}

fn command(folder: &Path) -> Command {
    let program = std::env::var_os(PROGRAM).map(PathBuf::from);
    let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_qundao").into());
    let mut command = Command::new(program);
    command
        .args(["--color", "never", "run"])
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("writable");
    std::fs::write(path, text).expect("writable");
}

/// In one step, so that nobody reads half of it.
fn replace(folder: &Path, name: &str, text: &str) {
    write(folder, "next.tmp", text);
    std::fs::rename(folder.join("next.tmp"), folder.join(name)).expect("writable");
}
