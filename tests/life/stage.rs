//! One bot on three platforms, two of which the test plays.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use qundao::adapter::Adapter;
use qundao::adapter::console::{Console, Room, Spot, Typed, decode};
use qundao::adapter::discord as discord_adapter;
use qundao::adapter::onebot::{self as onebot_adapter, Tcp};
use qundao::bot::{Bot, Parts, SeedMember, secret_from};
use qundao::clock::{Clock, VirtualClock};
use qundao::config::{self, Config};
use qundao::event::{EventKind, plain_text};
use qundao::id::Ref;
use qundao::moderation::WordLists;
use qundao::news::Sources;
use qundao::report::TurnReport;
use qundao::script::{InProcessHost, load};
use qundao::store::sqlite::Sqlite;
use qundao::value::Role;
use regex::Regex;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::discord::world::{CHANNEL, Member, OWNER, SOMEBODY};
use crate::{discord, onebot};

pub const PLATFORMS: [&str; 3] = ["console", "onebot", "discord"];
const QQ_GROUP: i64 = 777;
const HOUR_MS: i64 = 3_600_000;
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Stage {
    bot: Bot,
    console: Arc<Console>,
    qq: onebot::Sim,
    guild: discord::Sim,
    clock: Arc<VirtualClock>,
    reports: mpsc::UnboundedReceiver<Arc<TurnReport>>,
    folder: TempDir,
    off: Vec<&'static str>,
    addresses: (String, String),
    digits: Regex,
}

/// Numbers of people, by name: in the console, on QQ, on Discord.
fn ids(name: &str) -> (String, i64, u64) {
    let (qq, discord) = match name {
        "阿明" => (20_001, OWNER),
        "小红" => (20_002, SOMEBODY),
        _ => (20_009, 20_009),
    };
    (name.to_owned(), qq, discord)
}

impl Stage {
    pub async fn open() -> Self {
        // Eight in the evening of a Monday in Shanghai.
        let clock = VirtualClock::starting_at(1_795_435_200_000);
        let qq = onebot::Sim::with_group(onebot::Options {
            clock: clock.clone(),
            ..onebot::Options::default()
        });
        let guild = discord::Sim::start(discord::Options {
            clock: clock.clone(),
            ..discord::Options::default()
        })
        .await;
        let addresses = (format!("ws://{}", qq.listen().await), guild.base_url());
        let folder = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let feeds = folder.path().join("scripts/feeds");
        std::fs::create_dir_all(&feeds).unwrap();
        std::fs::copy(root.join("scripts/feeds/sample.xml"), feeds.join("sample.xml")).unwrap();
        let off = vec!["daily_news", "activity"];
        let config = write_config(folder.path(), &addresses, &off);
        let mut room = Room::new("life", &["群岛".to_owned()]);
        for (name, role) in [("阿明", Role::Owner), ("小红", Role::Member)] {
            room.admit(name, role, false, &["群岛".to_owned()]);
        }
        let console = Arc::new(Console::headless(room));
        let adapters = adapters(&config, &console, &clock);
        let (sources, wrong) = load::read(&root.join("scripts"), &root.join("rules"));
        assert!(wrong.is_empty(), "{wrong:?}");
        let limits = config.limits.script.clone();
        let parts = Parts {
            config: Arc::new(config),
            clock: clock.clone(),
            secret: secret_from(3),
            store: Arc::new(Sqlite::open(&folder.path().join("life.db")).await.unwrap()),
            host: Arc::new(InProcessHost::with_threads(limits, 2).unwrap()),
            sources,
            words: WordLists::load(&root.join("scripts/words")).0,
            feeds: Arc::new(Sources::files(folder.path())),
            adapters,
        };
        let bot = Bot::start(parts).await.unwrap();
        let reports = bot.reports();
        qq.until_connected(1).await;
        guild.until_alive(1).await;
        let digits = Regex::new("[0-9a-f]{16,}|[0-9]+").unwrap();
        let mut stage =
            Self { bot, console, qq, guild, clock, reports, folder, off, addresses, digits };
        stage.admit_old_members().await;
        // What comes before a server is known is not in order.
        stage.everywhere("阿明", "大家好").await;
        stage
    }

    async fn admit_old_members(&mut self) {
        let now = self.clock.now();
        for (platform, group) in self.groups() {
            let seed = |name: &str, role, points| SeedMember {
                id: reference(platform, name),
                name: name.to_owned(),
                role,
                trust: 2,
                points,
                joined_at: now - 60 * 24 * HOUR_MS,
                is_bot: false,
            };
            let members = vec![seed("阿明", Role::Owner, 200), seed("小红", Role::Member, 0)];
            self.bot.seed_members(&group, members).await.unwrap();
        }
    }

    fn groups(&self) -> [(&'static str, Ref); 3] {
        [
            ("console", Room::reference("群岛")),
            ("onebot", Ref::new("onebot", QQ_GROUP)),
            ("discord", Ref::new("discord", CHANNEL)),
        ]
    }

    /// A member says something on all three; what the bot does, which is the same on all.
    pub async fn everywhere(&mut self, name: &str, text: &str) -> String {
        self.advance(10_000).await;
        self.reports_so_far();
        let (typed, qq, discord) = ids(name);
        let typed =
            Typed::Say { who: Some(typed), to: Spot::Here, reply: None, text: text.to_owned() };
        self.type_in(&typed).await;
        self.qq.say(QQ_GROUP, qq, text);
        self.guild.say(CHANNEL, discord, text);
        let said = |report: &TurnReport| match &report.event.envelope.kind {
            EventKind::Message { elements, .. } => plain_text(elements) == text,
            _ => false,
        };
        let reports = self.until(said).await;
        self.compare(text, &reports).await
    }

    /// Somebody joins on all three; what the bot does within a minute.
    pub async fn newcomer(&mut self, name: &str) -> String {
        self.advance(10_000).await;
        self.reports_so_far();
        let (typed, qq, discord) = ids(name);
        self.type_in(&Typed::Join { name: typed, to: Spot::Here }).await;
        self.qq.join(QQ_GROUP, qq, name);
        let (joined_at, who) = (self.clock.now(), name.to_owned());
        let mut event = self.guild.world(|world| {
            let member = Member { name: who, joined_at, ..Member::default() };
            world.members.insert(discord, member);
            world.whole_member(discord)
        });
        event["guild_id"] = discord::world::GUILD.to_string().into();
        self.guild.dispatch("GUILD_MEMBER_ADD", event);
        let mut reports = self
            .until(|report| matches!(report.event.envelope.kind, EventKind::Joined { .. }))
            .await;
        self.advance(60_000).await;
        reports.extend(self.reports_so_far());
        self.compare("a newcomer", &reports).await
    }

    /// What the bot does by itself until nine in the morning.
    pub async fn until_morning(&mut self) -> String {
        self.reports_so_far();
        self.advance(15 * HOUR_MS).await;
        let reports = self.reports_so_far();
        let done = self.compare("the night", &reports).await;
        self.advance(9 * HOUR_MS).await;
        done
    }

    /// Switches a feature in config.toml, which the running bot reads again.
    pub async fn switch(&mut self, feature: &'static str, on: bool) {
        self.off.retain(|off| *off != feature);
        if !on {
            self.off.push(feature);
        }
        let config = write_config(self.folder.path(), &self.addresses, &self.off);
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (sources, _) = load::read(&root.join("scripts"), &root.join("rules"));
        let problems = self.bot.reload(Arc::new(config), sources, None).await.unwrap();
        assert_eq!(problems, Vec::<String>::new());
    }

    async fn type_in(&self, typed: &Typed) {
        let envelope = decode(&mut self.console.room(), typed, self.clock.now()).unwrap();
        self.bot.inbox().offer(envelope.expect("somebody does something"), None).await;
    }

    /// Lets time pass, each timer at its moment.
    async fn advance(&mut self, by_ms: i64) {
        let target = self.clock.now() + by_ms;
        while let Some(due) = self.bot.next_due().filter(|due| *due <= target) {
            self.clock.set(due);
            self.bot.fire_due().await;
            self.settled().await;
        }
        self.clock.set(target);
        self.settled().await;
    }

    async fn settled(&self) {
        tokio::time::timeout(PATIENCE, self.bot.settled()).await.expect("the bot comes to rest");
    }

    fn reports_so_far(&mut self) -> Vec<Arc<TurnReport>> {
        std::iter::from_fn(|| self.reports.try_recv().ok()).collect()
    }

    /// Everything that is reported until each platform has had its event.
    async fn until(&mut self, is_it: impl Fn(&TurnReport) -> bool) -> Vec<Arc<TurnReport>> {
        let (mut reports, mut seen) = (Vec::new(), Vec::new());
        while seen.len() < PLATFORMS.len() {
            let next = tokio::time::timeout(PATIENCE, self.reports.recv()).await;
            let report = next.expect("each platform brings it").expect("the bot runs");
            if is_it(&report) {
                seen.push(report.event.envelope.account.platform().to_owned());
            }
            reports.push(report);
        }
        seen.sort();
        assert_eq!(seen, ["console", "discord", "onebot"]);
        self.settled().await;
        reports.extend(self.reports_so_far());
        reports
    }

    /// What was done is the same on all platforms, but for numbers that chance gives.
    async fn compare(&self, what: &str, reports: &[Arc<TurnReport>]) -> String {
        let mut done: BTreeMap<&str, String> = BTreeMap::new();
        for (platform, group) in self.groups() {
            let community = self.community_of(&group, reports);
            let lines = reports.iter().filter(|report| Some(report.event.community) == community);
            let lines = lines.flat_map(|report| &report.lines);
            let text: Vec<String> = lines
                .map(|line| format!("{line:?}").replace(group.as_str(), "here"))
                .map(|line| self.digits.replace_all(&line, "#").into_owned())
                .collect();
            done.insert(platform, text.join("\n"));
        }
        assert_eq!(done["console"], done["onebot"], "{what}: console and QQ");
        assert_eq!(done["console"], done["discord"], "{what}: console and Discord");
        self.arrived(what, reports).await;
        done["console"].clone()
    }

    fn community_of(
        &self,
        group: &Ref,
        reports: &[Arc<TurnReport>],
    ) -> Option<qundao::id::CommunityId> {
        let in_group = reports.iter().find(|report| {
            report.event.envelope.group.as_ref().is_some_and(|place| place.id == *group)
                || report.lines.iter().any(|line| match line {
                    qundao::report::Line::Said { group: to, .. }
                    | qundao::report::Line::Card { group: to, .. } => to == group,
                    _ => false,
                })
        });
        in_group.map(|report| report.event.community)
    }

    /// What was said to a group of QQ or Discord is there.
    async fn arrived(&self, what: &str, reports: &[Arc<TurnReport>]) {
        for line in reports.iter().flat_map(|report| &report.lines) {
            let qundao::report::Line::Said { group, text, .. } = line else { continue };
            let first = text.lines().next().unwrap_or_default();
            let there = match group.platform() {
                "onebot" => {
                    let calls = self.qq.deeds();
                    calls.iter().any(|call| call.params.to_string().contains(first))
                }
                "discord" => {
                    let told = self.guild.world(|world| world.by_bot(CHANNEL));
                    // Characters that would be markup are written so that they are not.
                    told.iter().any(|said| said.replace('\\', "").contains(first))
                }
                _ => true,
            };
            assert!(there, "{what}: `{first}` did not arrive on {}", group.platform());
        }
    }

    pub async fn close(self) {
        assert_eq!(self.guild.complaints(), Vec::<String>::new());
        self.bot.stop().await.unwrap();
    }
}

fn reference(platform: &str, name: &str) -> Ref {
    let (typed, qq, discord) = ids(name);
    match platform {
        "onebot" => Ref::new("onebot", qq),
        "discord" => Ref::new("discord", discord),
        _ => Ref::new("console", typed),
    }
}

fn write_config(folder: &Path, addresses: &(String, String), off: &[&str]) -> Config {
    let off: String =
        off.iter().map(|name| format!("[features.{name}]\nenabled = false\n")).collect();
    let news = if off.contains("daily_news") {
        String::new()
    } else {
        "[features.daily_news]\napprove = false\n".to_owned()
    };
    let text = format!(
        "[adapters.console]\n[adapters.onebot]\nconnect = \"{}\"\nmessages_per_minute = \
         0\ngroup_messages_per_minute = 0\n[adapters.discord]\nbase_url = \"{}\"\ntoken = \
         \"${{DISCORD_TOKEN}}\"\n{off}{news}",
        addresses.0, addresses.1
    );
    let path = folder.join("config.toml");
    std::fs::write(&path, &text).unwrap();
    let env = |name: &str| (name == "DISCORD_TOKEN").then(|| discord::TOKEN.to_owned());
    let mut config = config::parse(&text, &path, &env).unwrap_or_else(|found| panic!("{found}"));
    config.limits.script.handler_ms = 10_000;
    config
}

fn adapters(
    config: &Config,
    console: &Arc<Console>,
    clock: &Arc<VirtualClock>,
) -> Vec<Arc<dyn Adapter>> {
    let clock: Arc<dyn Clock> = clock.clone();
    let surroundings =
        onebot_adapter::Surroundings { clock: clock.clone(), seed: [5; 32], dial: Arc::new(Tcp) };
    let qq = onebot_adapter::OneBot::new(&config.adapters["onebot"], surroundings).unwrap();
    let surroundings = discord_adapter::Surroundings {
        clock,
        seed: [1; 32],
        client: reqwest::Client::builder().no_proxy().build().unwrap(),
        rates_by_library: false,
        pacing: discord_adapter::Pacing {
            spacing: Duration::ZERO,
            sessions_an_hour: 1_000,
            resumes_a_minute: 1_000,
            backs_off: false,
            calls_a_second: 1_000,
        },
    };
    let discord = discord_adapter::Discord::new(&config.adapters["discord"], surroundings).unwrap();
    vec![console.clone(), Arc::new(qq), Arc::new(discord)]
}
