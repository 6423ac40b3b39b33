//! Connecting again: not too fast, not for ever slower, and without leaving anything behind.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qundao::adapter::BoxFuture;
use qundao::adapter::onebot::{ByteStream, Dial};
use qundao::event::EventKind;
use tokio::time::Instant;

use crate::rig::{JumpingClock, Rig, answer, done, group};
use crate::sim::socket::Part;
use crate::sim::{Options, Sim};

/// Notes when it was dialled; nobody answers until it is told otherwise.
struct Noting {
    sim: Sim,
    answers: std::sync::atomic::AtomicBool,
    dialled: Mutex<Vec<Instant>>,
}

impl Dial for Noting {
    fn dial<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Box<dyn ByteStream>>> {
        self.dialled.lock().unwrap().push(Instant::now());
        if self.answers.load(std::sync::atomic::Ordering::SeqCst) {
            return self.sim.dial(host, port);
        }
        Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) })
    }
}

#[tokio::test(start_paused = true)]
async fn waits_grow_to_a_minute_and_begin_anew_after_a_good_connection() {
    let clock = JumpingClock::new();
    let heartbeat = Some(Duration::from_secs(15));
    let options =
        Options { clock: clock.clone(), limit_s: 100_000, heartbeat, ..Options::default() };
    let sim = Sim::with_group(options);
    let noting =
        Arc::new(Noting { sim: sim.clone(), answers: false.into(), dialled: Mutex::default() });
    let _rig = Rig::with(&[("connect", "ws://sim")], noting.clone(), clock);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let waits: Vec<Duration> = {
        let dialled = noting.dialled.lock().unwrap();
        dialled.windows(2).map(|pair| pair[1] - pair[0]).collect()
    };
    for (n, wait) in waits.iter().enumerate() {
        let most = Duration::from_secs(60.min(1 << n.min(6)));
        assert!(*wait <= most + Duration::from_millis(2), "wait {n}: {wait:?} of {most:?}");
    }
    // Half a minute on average: about 120 tries in an hour, and not always the same.
    assert!((80..=200).contains(&waits.len()), "{} tries in an hour", waits.len());
    assert!(waits.iter().skip(7).any(|wait| wait.as_secs() > 40));

    noting.answers.store(true, std::sync::atomic::Ordering::SeqCst);
    sim.until_connected(1).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let before = Instant::now();
    sim.disconnect().await;
    sim.until_made(2, 1).await;
    assert!(before.elapsed() <= Duration::from_secs(1), "{:?}", before.elapsed());
}

/// Tasks of this test's runtime.
fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Lets what has ended be gone.
async fn settled(most: usize) -> usize {
    for _ in 0..10_000 {
        if tasks() <= most {
            break;
        }
        tokio::task::yield_now().await;
    }
    tasks()
}

#[tokio::test]
async fn after_a_hundred_connections_one_message_is_one_event_and_one_answer() {
    let sim = Sim::with_group(Options::default());
    let rig = Rig::over_tcp(&[("listen", "127.0.0.1:0")]);
    let port = rig.port().await;
    let inbox = Arc::downgrade(&rig.inbox);
    let (mut tasks_after_first, mut holders_after_first) = (0, 0);
    for n in 1..=100 {
        sim.connect(port, "/", Part::Universal).await.unwrap();
        sim.until_made(n, 1).await;
        rig.until_callable(&sim).await;
        sim.say(777, 20002, &n.to_string());
        rig.inbox.texts(n).await;
        if n == 1 {
            (tasks_after_first, holders_after_first) = (tasks(), inbox.strong_count());
        }
        // Half of them are replaced by the next one, half are gone before it comes.
        if n % 2 == 0 {
            sim.disconnect().await;
        }
    }
    sim.connect(port, "/", Part::Universal).await.unwrap();
    sim.until_made(101, 1).await;
    rig.until_callable(&sim).await;
    let asked = sim.say(777, 20002, "最后一句");
    let texts = rig.inbox.texts(101).await;
    assert_eq!(texts.iter().filter(|text| *text == "最后一句").count(), 1);
    done(rig.send(group(777), answer("听到了", Some(asked.id))).await);
    assert_eq!(sim.world().said(777), ["听到了"]);
    assert_eq!((sim.connections(), texts.len()), (1, 101));
    let tasks = settled(tasks_after_first).await;
    assert!(tasks <= tasks_after_first, "{tasks} tasks, {tasks_after_first} after the first");
    assert!(inbox.strong_count() <= holders_after_first, "{} hold on", inbox.strong_count());
}

#[tokio::test(start_paused = true)]
async fn a_hundred_breaks_of_our_own_connection_leave_nothing_behind() {
    let options = Options { clock: JumpingClock::new(), limit_s: 100_000, ..Options::default() };
    let sim = Sim::with_group(options);
    let rig = Rig::jumping(&sim, &[("connect", "ws://sim")]);
    sim.until_connected(1).await;
    sim.say(777, 20002, "0");
    rig.inbox.texts(1).await;
    let first = tasks();
    for n in 1..=100 {
        sim.disconnect().await;
        sim.until_made(n + 1, 1).await;
        sim.say(777, 20002, &n.to_string());
        rig.inbox.texts(n + 1).await;
    }
    let texts = rig.inbox.texts(101).await;
    assert!(texts.iter().enumerate().all(|(n, text)| *text == n.to_string()), "{texts:?}");
    let gaps = rig.inbox.events().iter().filter(|it| it.kind.word() == "gap").count();
    assert_eq!(gaps, 100);
    let offline = |it: &&qundao::event::Envelope| it.kind == EventKind::Online(false);
    let told = rig.inbox.events().iter().filter(offline).count();
    assert!(told <= 100, "{told}");
    let tasks = settled(first).await;
    assert!(tasks <= first, "{tasks} tasks, {first} at first");
}

#[tokio::test]
async fn when_the_adapter_is_gone_nothing_of_it_is_left() {
    let before = tasks();
    let sim = Sim::with_group(Options::default());
    let rig = Rig::over_tcp(&[("listen", "127.0.0.1:0")]);
    let port = rig.port().await;
    sim.connect(port, "/", Part::Universal).await.unwrap();
    rig.until_callable(&sim).await;
    // Told to stop it hears nothing any more, and still answers.
    rig.stop.cancel();
    while !rig.run.is_finished() {
        tokio::task::yield_now().await;
    }
    sim.say(777, 20002, "太晚了");
    done(rig.send(group(777), answer("再见", None)).await);
    assert_eq!(sim.world().said(777), ["再见"]);
    assert!(crate::rig::texts(&rig.inbox.events()).is_empty());
    drop(rig);
    sim.until_made(1, 0).await;
    drop(sim);
    assert_eq!(settled(before).await, before);
}
