//! S11: the real program with secrets that can be searched for, at the loudest log, talked to by
//! strangers and misled: they stand nowhere but in its own memory.
#![cfg(target_os = "linux")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::program;

const CANARY: &str = "canary7f3a9c";
const PATIENCE: Duration = Duration::from_secs(60);

/// Names of secrets, each with a value of its own that carries the canary.
fn secrets() -> Vec<(&'static str, String)> {
    ["CANARY_ONEBOT", "CANARY_SIGN", "CANARY_DISCORD"]
        .into_iter()
        .map(|name| {
            let name_of = name.to_lowercase().replace("canary_", "");
            (name, format!("{CANARY}-{name_of}-0123456789abcdef0123456789"))
        })
        .collect()
}

fn config(folder: &Path, port: u16, api: u16) {
    let text = format!(
        "[bot]\nlog = \"trace\"\n\n[adapters.onebot]\nenabled = true\nlisten = \"127.0.0.1:{port}\"\n\
         connect = \"ws://127.0.0.1:{api}\"\napi = \"http://127.0.0.1:{api}\"\n\
         token = \"${{CANARY_ONEBOT}}\"\nsecret = \"${{CANARY_SIGN}}\"\n\n\
         [adapters.discord]\nenabled = true\ntoken = \"${{CANARY_DISCORD}}\"\n\
         base_url = \"http://127.0.0.1:{api}\"\n\n\
         [[community]]\nid = \"a\"\ngroups = [\"onebot:777\"]\n"
    );
    std::fs::write(folder.join("config.toml"), text).unwrap();
    std::fs::create_dir_all(folder.join("scripts")).unwrap();
    let script = "//! 窥\non_message(|m| { print(m.text); throw \"故意的\"; });\n";
    std::fs::write(folder.join("scripts/nosy.rhai"), script).unwrap();
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(folder: &Path) -> Running {
    let log = std::fs::File::create(folder.join("stderr.log")).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_qundao"))
        .current_dir(folder)
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "1")
        .envs(secrets())
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(folder.join("stdout.log")).unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    Running(child)
}

/// What comes back for a request, as far as it comes.
fn talk(port: u16, request: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return String::new() };
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = vec![0; 4096];
    let count = stream.read(&mut bytes).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let last = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < last, "{what} did not happen");
        std::thread::yield_now();
    }
}

fn post(port: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    talk(
        port,
        &format!(
            "POST /?access_token=wrong HTTP/1.1\r\nhost: a\r\n{headers}content-length: {length}\r\n\
             connection: close\r\n\r\n{body}"
        ),
    )
}

fn sign(body: &str) -> String {
    use hmac::Mac as _;
    let (_, key) = &secrets()[1];
    let mut mac = hmac::Hmac::<sha1::Sha1>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let digest = mac.finalize().into_bytes();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Processes that another one started.
fn children(of: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parent = |id: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    ids.filter(|id| parent(*id) == Some(of)).collect()
}

/// Files in which the canary sings.
fn singing(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap_or_default();
            if bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[test]
fn no_canary_sings_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let port = free_port();
    // Whoever is asked answers with an error, and repeats what it was asked.
    let echo = TcpListener::bind("127.0.0.1:0").unwrap();
    let api = echo.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in echo.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut bytes = vec![0; 8192];
            let count = stream.read(&mut bytes).unwrap_or(0);
            let asked = String::from_utf8_lossy(&bytes[..count]).into_owned();
            let answer = format!(
                "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{asked}",
                asked.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    config(folder, port, api);
    let running = start(folder);
    until("the listener", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    // A member speaks, with a good signature; a stranger with a wrong token and a wrong signature.
    let body = format!(
        "{{\"post_type\":\"message\",\"message_type\":\"group\",\"time\":{},\"self_id\":10001,\
         \"group_id\":777,\"user_id\":20002,\"message_id\":5,\"message\":\"你好\",\
         \"raw_message\":\"你好\",\"sender\":{{\"user_id\":20002,\"nickname\":\"小红\"}}}}",
        std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
    );
    let right = format!("x-signature: sha1={}\r\nx-self-id: 10001\r\n", sign(&body));
    let told = post(port, &right, &body);
    assert!(told.starts_with("HTTP/1.1 2"), "{told}");
    let wrong = post(port, "x-signature: sha1=00\r\n", &body);
    assert!(wrong.starts_with("HTTP/1.1 403") && !wrong.contains(CANARY), "{wrong}");
    talk(port, "GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n");
    until("the script has failed", || {
        std::fs::read_to_string(folder.join("stderr.log")).is_ok_and(|log| log.contains("故意的"))
    });
    // The processes that run scripts know nothing.
    let mut looked_at = 0;
    for child in children(running.0.id()) {
        let environ = std::fs::read(format!("/proc/{child}/environ")).unwrap_or_default();
        let line = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&environ).contains(CANARY), "environment of a child");
        assert!(!String::from_utf8_lossy(&line).contains(CANARY), "arguments of a child");
        looked_at += 1;
    }
    assert!(looked_at > 0, "no child was found");
    let own = std::fs::read(format!("/proc/{}/cmdline", running.0.id())).unwrap();
    assert!(!String::from_utf8_lossy(&own).contains(CANARY));
    // Other commands beside it, with the same secrets, and with one typed where it does not belong.
    for args in [&["doctor", "--json"][..], &["check"], &["audit", "--json"], &["test"]] {
        let done = Command::new(env!("CARGO_BIN_EXE_qundao"))
            .args(args)
            .current_dir(folder)
            .env("RUST_LOG", "trace")
            .envs(secrets())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let told = [done.stdout, done.stderr].concat();
        assert!(!String::from_utf8_lossy(&told).contains(CANARY), "{args:?}");
    }
    drop(running);
    let log = std::fs::read_to_string(folder.join("stderr.log")).unwrap();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "the log is not loud: {log}");
    assert_eq!(singing(folder), Vec::<String>::new());
    // A secret that is typed into the file itself is not repeated by the picture of the mistake.
    let text = std::fs::read_to_string(folder.join("config.toml")).unwrap();
    let typed = text.replace("${CANARY_ONEBOT}", &format!("{CANARY}-typed")) + "\nnonsense = = 1\n";
    std::fs::write(folder.join("config.toml"), typed).unwrap();
    let done = program::run(folder, &["check"], "");
    let told = [done.stdout, done.stderr].concat();
    assert!(!String::from_utf8_lossy(&told).contains(CANARY), "{}", String::from_utf8_lossy(&told));
}
