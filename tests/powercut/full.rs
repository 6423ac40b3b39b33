//! The disk is full, and then it is not.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use powercut::{Disk, Fault};
use qundao::planted::plant;
use qundao::report::Notice;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::books::look;
use crate::load::{Load, World};
use crate::world::{in_time, sqlite};
use crate::{ONE_AT_A_TIME, open};

/// The bot goes on within this when there is room.
const SOON: Duration = Duration::from_secs(5);
/// Events that nobody acknowledges while the disk is full.
const WAITING: usize = 30;

fn problems(notices: &mut UnboundedReceiver<Notice>) -> Vec<String> {
    let mut told = Vec::new();
    while let Ok(notice) = notices.try_recv() {
        if notice.is_problem {
            told.push(notice.text);
        }
    }
    told
}

/// Brings events into a full disk and makes room after a while.
async fn fills_up(
    load: Load,
    world: &mut World,
    file: &Path,
    fill: impl FnOnce(),
    free: impl FnOnce(),
) {
    let mut notices = load.bot.notices();
    load.talk_until(world, |world| world.said.len() >= 100).await;
    assert!(load.has_room(1).await);
    problems(&mut notices);
    fill();
    for _ in 0..WAITING {
        load.say(world).await;
    }
    // Long enough for many tries.
    let told = in_time("an alarm", async {
        while let Some(notice) = notices.recv().await {
            if notice.is_problem {
                return notice.text;
            }
        }
        String::new()
    })
    .await;
    assert!(told.contains("cannot be written"), "{told}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(world.acknowledged().len(), 100, "nothing is acknowledged that is not kept");
    assert_eq!(problems(&mut notices), Vec::<String>::new(), "one alarm");
    free();
    let began = Instant::now();
    assert!(load.has_room(1).await, "it goes on");
    assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
    println!("{:?} after there was room", began.elapsed());
    load.end().await;
    let found = look(file).await;
    assert_eq!(found.broken, Vec::<String>::new());
    assert_eq!(found.keys.len(), world.said.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_waited_for() {
    let _alone = ONE_AT_A_TIME.lock().await;
    plant(None);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("qundao.db");
    let disk = Arc::new(Disk::new());
    let mut world = World::new(1);
    let load = Load::start(open(&file, &disk).await.unwrap()).await.unwrap();
    let (fill, free) = (|| disk.fail(0, u64::MAX / 2, Fault::Full), || disk.mend());
    fills_up(load, &mut world, &file, fill, free).await;
}

/// A file system of its own, where this may be.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let option = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &option, "tmpfs"]);
        let done = mount.arg(folder.path()).output();
        done.is_ok_and(|done| done.status.success()).then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all room but so many bytes.
    fn fill_but(&self, left: u64) {
        let free = || {
            let free = nix::sys::statvfs::statvfs(self.path()).unwrap();
            free.blocks_available() * free.fragment_size()
        };
        let mut ballast = std::fs::File::create(self.ballast()).unwrap();
        while free() > left {
            if ballast.write_all(&[1; 4096]).is_err() {
                break;
            }
        }
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_system_that_fills_up_is_waited_for() {
    let _alone = ONE_AT_A_TIME.lock().await;
    plant(None);
    let Some(mounted) = Mounted::new("24m") else {
        println!("nothing can be mounted here; `a_full_disk_is_waited_for` plays the same");
        return;
    };
    let file = mounted.path().join("qundao.db");
    let mut world = World::new(2);
    let load = Load::start(sqlite(&file).await).await.unwrap();
    let fill = || mounted.fill_but(0);
    let free = || std::fs::remove_file(mounted.ballast()).unwrap();
    fills_up(load, &mut world, &file, fill, free).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_new_is_taken_in_while_there_is_still_some_room() {
    let _alone = ONE_AT_A_TIME.lock().await;
    plant(None);
    let Some(mounted) = Mounted::new("32m") else {
        println!("nothing can be mounted here");
        return;
    };
    let file = mounted.path().join("qundao.db");
    let mut world = World::new(3);
    let load = Load::start_with(sqlite(&file).await, |config| config.limits.disk_free_mb = 4);
    let load = load.await.unwrap();
    let mut notices = load.bot.notices();
    load.talk_until(&mut world, |world| world.said.len() >= 100).await;
    assert!(load.has_room(1).await);
    mounted.fill_but(3 * 1024 * 1024);
    let told = in_time("an alarm", async {
        loop {
            let notice = notices.recv().await.expect("the bot runs");
            if notice.is_problem {
                return notice.text;
            }
        }
    })
    .await;
    assert!(told.contains("`disk_free_mb` (4)"), "{told}");
    let number = world.said.len();
    world.said.insert(number, format!("e{number} g0 g0-1 数"));
    let mut said = Box::pin(load.bring(&world, number));
    let waited = tokio::time::timeout(Duration::from_secs(2), &mut said).await;
    assert!(waited.is_err(), "the door is closed");
    assert_eq!(problems(&mut notices), Vec::<String>::new(), "one alarm");
    std::fs::remove_file(mounted.ballast()).unwrap();
    let began = Instant::now();
    in_time("the door", said).await;
    assert!(load.has_room(1).await);
    assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
    assert_eq!(world.acknowledged().len(), 101);
    load.end().await;
    assert_eq!(look(&file).await.broken, Vec::<String>::new());
}
