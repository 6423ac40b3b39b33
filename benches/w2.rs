//! scratch
#[path = "../tests/world/mod.rs"]
mod world;
use qundao::adapter::Accepted;
use qundao::child::{ChildHost, Program};
use qundao::clock::{Clock, SystemClock};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Semaphore, oneshot};
use world::{Platform, Setup, message, script, sqlite};
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
fn main() {
    let runtime = (if std::env::args().any(|a| a == "--single") {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    })
    .enable_all()
    .build()
    .unwrap();
    runtime.block_on(run());
}
async fn run() {
    let arg = |n: &str, d: &str| {
        let a: Vec<String> = std::env::args().collect();
        a.iter().position(|x| x == n).and_then(|i| a.get(i + 1)).cloned().unwrap_or(d.to_owned())
    };
    let seconds: f64 = arg("--seconds", "6").parse().unwrap();
    let window: usize = arg("--window", "640").parse().unwrap();
    let host = arg("--host", "child");
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::willing();
    let store = sqlite(&folder.path().join("b.db")).await;
    let rules = vec![
        script(
            "bad",
            "//! x\non_message(|m| { if m.text.contains(\"禁词\") { m.delete(\"x\"); } });",
        ),
        script("echo", "//! y\ncommand(\"echo <t:text>\", |c| c.reply(c.t));"),
    ];
    let mut setup = Setup::new(rules);
    setup.config.limits.commands = 100_000;
    if host == "child" {
        let h = ChildHost::start(
            Program::at(env!("CARGO_BIN_EXE_qundao").into()),
            setup.config.limits.script.clone(),
        )
        .await
        .unwrap();
        setup.host = Some(Arc::new(h));
    }
    let bot = setup.start(store, &platform).await;
    let (inbox, sem) = (bot.inbox(), Arc::new(Semaphore::new(window)));
    let began = Instant::now();
    let mut n = 0usize;
    let mut c0 = 0;
    let mut t0 = Instant::now();
    let mut warm = false;
    let mut n0 = 0;
    while began.elapsed().as_secs_f64() < seconds {
        let mut batch = Vec::new();
        for _ in 0..32 {
            let permit = sem.clone().acquire_owned().await.unwrap();
            let (r, h) = oneshot::channel();
            let x = (n as u64).wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407)
                >> 33;
            let (g, p) = (x % 50, (x / 50) % 200);
            let text = if n.is_multiple_of(10) {
                format!("echo tk{n:08}")
            } else if n % 100 == 1 {
                format!("今天禁词 {n}")
            } else {
                "今天天气真不错，有人一起打游戏吗，收到".to_owned()
            };
            let now = SystemClock::default().now();
            let mut e = message(
                &format!("{now}:group:{g}:{n}"),
                &format!("70000{g}"),
                &format!("2000{g}-{p}"),
                &text,
                now,
            );
            e.key = format!("{now}:{g}:{n}").into();
            batch.push((e, Some(r)));
            tokio::spawn(async move {
                let _ = h.await.map(|a| assert_eq!(a, Accepted::New));
                drop(permit);
            });
            n += 1;
        }
        inbox.offer_all(batch).await;
        if !warm && began.elapsed().as_secs_f64() > 1.0 {
            warm = true;
            t0 = Instant::now();
            n0 = n;
            c0 = bot.figures().commits.load(std::sync::atomic::Ordering::Relaxed);
        }
    }
    bot.settled().await;
    let s = t0.elapsed().as_secs_f64();
    let commits = bot.figures().commits.load(std::sync::atomic::Ordering::Relaxed) - c0;
    let cpu = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = cpu.rsplit_once(')').unwrap().1.split_whitespace().collect();
    println!(
        "{:.0} events/s, {} commits ({:.0} per commit), own cpu {}+{} ticks of {:.1}s, rss {}",
        (n - n0) as f64 / s,
        commits,
        (n - n0) as f64 / commits as f64,
        f[11],
        f[12],
        began.elapsed().as_secs_f64(),
        std::fs::read_to_string("/proc/self/status")
            .unwrap()
            .lines()
            .find(|l| l.starts_with("VmRSS"))
            .unwrap()
    );
    bot.stop().await.unwrap();
}
