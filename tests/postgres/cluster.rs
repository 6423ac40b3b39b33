//! A PostgreSQL server of the test's own: in a temporary folder, on a socket, gone with the test.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// A server that runs as long as this value, even if the test is killed.
pub struct Cluster {
    folder: TempDir,
    binaries: PathBuf,
    user: Option<u32>,
    guard: Option<Child>,
    databases: AtomicU32,
}

impl Cluster {
    /// Makes a server and starts it.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("qpg").tempdir().unwrap();
        let mut cluster = Self {
            folder,
            binaries: binaries(),
            user: None,
            guard: None,
            databases: AtomicU32::new(0),
        };
        if std::fs::metadata(cluster.folder.path()).unwrap().uid() == 0 {
            let user = unprivileged();
            std::os::unix::fs::chown(cluster.folder.path(), Some(user), None).unwrap();
            cluster.user = Some(user);
        }
        let data = cluster.data();
        cluster.run(
            "initdb",
            [OsStr::new("-D"), data.as_os_str()].into_iter().chain(
                ["-U", "qundao", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
                    .map(OsStr::new),
            ),
        );
        let socket = cluster.folder.path().display().to_string();
        let settings = format!(
            "listen_addresses = ''\nunix_socket_directories = '{socket}'\nshared_buffers = 32MB\n\
             max_connections = 120\nlog_min_messages = fatal\n"
        );
        let path = data.join("postgresql.auto.conf");
        std::fs::write(path, settings).unwrap();
        cluster.pg_ctl(&["start"]);
        // Whatever becomes of the test, its end of the pipe closes and the server stops.
        let stop = "read -r _; exec \"$1/pg_ctl\" -D \"$2\" -m immediate stop";
        let mut guard = cluster.command(OsStr::new("sh"));
        guard.args(["-c", stop, "guard"]).arg(&cluster.binaries).arg(&data);
        cluster.guard = Some(guard.stdin(Stdio::piped()).spawn().unwrap());
        cluster
    }

    /// The address of a new database.
    pub fn database(&self) -> String {
        let name = format!("q{}", self.databases.fetch_add(1, Ordering::SeqCst));
        let socket = self.folder.path();
        let host = [OsStr::new("-h"), socket.as_os_str(), OsStr::new("-U"), OsStr::new("qundao")];
        self.run("createdb", host.into_iter().chain([OsStr::new(&name)]));
        format!("postgres://qundao@localhost/{name}?host={}", socket.display())
    }

    /// The file of its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join(".s.PGSQL.5432")
    }

    /// Ends every process of the server at once, as a power cut would, and starts it again.
    pub fn restart(&self) {
        self.pg_ctl(&["restart", "-m", "immediate"]);
    }

    /// Ends the server, or starts it again.
    pub fn pg_ctl(&self, what: &[&str]) {
        let (data, log) = (self.data(), self.folder.path().join("log"));
        let fixed = [OsStr::new("-D"), data.as_os_str(), OsStr::new("-l"), log.as_os_str()];
        let all = fixed.into_iter().chain(["-w", "-s"].map(OsStr::new));
        self.run("pg_ctl", all.chain(what.iter().map(OsStr::new)));
    }

    /// Folders in which the tables of its databases lie.
    pub fn tables(&self) -> Vec<PathBuf> {
        let all = std::fs::read_dir(self.data().join("base")).unwrap();
        all.map(|folder| folder.unwrap().path()).collect()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn run<'a>(&self, program: &str, arguments: impl IntoIterator<Item = &'a OsStr>) {
        let mut command = self.command(self.binaries.join(program).as_os_str());
        let done = command.args(arguments).stdin(Stdio::null()).status().unwrap();
        assert!(done.success(), "{program} failed; is the disk full?");
    }

    fn command(&self, program: &OsStr) -> Command {
        use std::os::unix::process::CommandExt as _;
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            let _ = guard.wait();
        }
        // The last processes of the server may still be writing for a moment.
        let mut tries = 0..40;
        while std::fs::remove_dir_all(self.data()).is_err() && tries.next().is_some() {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}

/// The newest PostgreSQL of this machine.
fn binaries() -> PathBuf {
    let all = ["initdb", "pg_ctl", "createdb"];
    let has = |folder: &Path| all.iter().all(|program| folder.join(program).exists());
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(found) = std::env::split_paths(&path).find(|folder| has(folder)) {
        return found;
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    found.retain(|folder| has(folder));
    found.sort();
    found
        .pop()
        .expect("PostgreSQL is not installed: `apt-get install postgresql`, or run tests/run.sh")
}

/// PostgreSQL does not run as root; the number of somebody who may do less.
fn unprivileged() -> u32 {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let number = |name: &str| {
        let line = users.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        line.split(':').nth(2)?.parse().ok()
    };
    number("postgres").or_else(|| number("nobody")).expect("a user who is not root")
}
