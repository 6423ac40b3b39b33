//! The platform's side of a benchmark: an implementation of OneBot v11 that talks as fast as it is
//! answered, and that checks every answer.
//!
//! One message in ten is a command that wants exactly one answer in its group, one in a hundred
//! contains a banned word and wants to be recalled, the rest wants nothing.
#![allow(dead_code, reason = "each benchmark uses its own part")]

pub mod peer;
pub mod process;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};

pub const SELF_ID: i64 = 10001;
pub const GROUPS: u64 = 50;
pub const MEMBERS: u64 = 200;
/// Longest wait for the last answers.
const PATIENCE: Duration = Duration::from_secs(20);

/// How fast it talks.
#[derive(Clone, Copy)]
pub enum Pace {
    /// As fast as it can, with so many commands unanswered at most.
    Closed(usize),
    /// So many messages a second, whatever comes back.
    Open(f64),
}

/// What came of it.
#[derive(Default)]
pub struct Outcome {
    pub sent: u64,
    pub seconds: f64,
    /// Time from when a command was due to its answer, ms.
    pub latencies: Vec<f64>,
    /// Everything that should not have been.
    pub wrong: Vec<String>,
}

impl Outcome {
    pub fn rate(&self) -> f64 {
        self.sent as f64 / self.seconds
    }

    /// A latency that this part of all stays below, ms.
    pub fn percentile(&mut self, part: f64) -> f64 {
        self.latencies.sort_by(f64::total_cmp);
        let at = (self.latencies.len() as f64 * part) as usize;
        self.latencies.get(at).or(self.latencies.last()).copied().unwrap_or_default()
    }
}

type Socket = WebSocketStream<TcpStream>;

/// A connection to the program under test.
pub struct Load {
    sink: SplitSink<Socket, Message>,
    source: SplitStream<Socket>,
    next: u64,
    /// Messages of the program.
    own: u64,
    /// Banned words; without any, nothing is recalled.
    words: Vec<String>,
    /// Commands that wait, by number: where, and since when.
    commands: HashMap<u64, (u64, Instant)>,
    /// Messages that wait to be recalled.
    banned: HashMap<i64, ()>,
    /// The last command of each group that was answered.
    last: HashMap<u64, u64>,
}

/// An action of the program.
#[derive(Deserialize)]
struct Action<'a> {
    action: &'a str,
    #[serde(default)]
    params: Params,
    echo: Option<serde_json::Value>,
}

#[derive(Default, Deserialize)]
struct Params {
    group_id: Option<u64>,
    message_id: Option<i64>,
    message: Option<serde_json::Value>,
}

/// A message of a member in a group, as an implementation tells of it.
pub fn frame(n: u64, group: u64, member: u64, text: &str) -> String {
    let (group_id, user) = (700_000 + group, 20_000_000 + group * 1000 + member);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let time = now.map_or(0, |now| now.as_secs());
    format!(
        "{{\"time\":{time},\"self_id\":{SELF_ID},\"post_type\":\"message\",\
         \"message_type\":\"group\",\"sub_type\":\"normal\",\"message_id\":{n},\
         \"group_id\":{group_id},\"user_id\":{user},\
         \"message\":[{{\"type\":\"text\",\"data\":{{\"text\":\"{text}\"}}}}],\
         \"raw_message\":\"{text}\",\"font\":0,\"sender\":{{\"user_id\":{user},\
         \"nickname\":\"群友{member}\",\"card\":\"\",\"sex\":\"unknown\",\"age\":0,\
         \"area\":\"\",\"level\":\"1\",\"role\":\"member\",\"title\":\"\"}}}}"
    )
}

impl Load {
    /// Connects as an implementation does, to `ws://HOST:PORT/PATH`.
    pub async fn connect(url: &str, words: Vec<String>) -> Self {
        let mut request = url.into_client_request().expect("an address");
        let place = request.uri().authority().expect("a host and a port").as_str();
        let stream = TcpStream::connect(place).await.expect("the program listens");
        stream.set_nodelay(true).expect("a socket");
        let headers = request.headers_mut();
        headers.insert("X-Self-ID", SELF_ID.into());
        headers.insert("X-Client-Role", "Universal".parse().expect("a header"));
        let (socket, _) = client_async(request, stream).await.expect("the handshake");
        let (sink, source) = socket.split();
        let (commands, banned, last) = Default::default();
        Self { sink, source, next: 0, own: 0, words, commands, banned, last }
    }

    /// Talks for so long, then waits for what is missing.
    pub async fn run(&mut self, pace: Pace, time: Duration) -> Outcome {
        let (began, mut outcome) = (Instant::now(), Outcome::default());
        let first = self.next;
        while began.elapsed() < time {
            let due = match pace {
                Pace::Closed(window) if self.commands.len() < window => 32,
                Pace::Closed(_) => 0,
                Pace::Open(rate) => {
                    let all = began.elapsed().as_secs_f64() * rate;
                    (all as u64).saturating_sub(self.next - first)
                }
            };
            let since = |n: u64| match pace {
                Pace::Closed(_) => Instant::now(),
                Pace::Open(rate) => began + Duration::from_secs_f64((n - first) as f64 / rate),
            };
            for _ in 0..due.min(256) {
                self.talk(since(self.next)).await;
            }
            if due > 0 {
                self.sink.flush().await.expect("the program reads");
            }
            let wait = if due > 0 { Duration::ZERO } else { Duration::from_millis(1) };
            self.hear(wait, &mut outcome).await;
        }
        outcome.sent = self.next - first;
        outcome.seconds = began.elapsed().as_secs_f64();
        let waiting = Instant::now();
        while !(self.commands.is_empty() && self.banned.is_empty()) && waiting.elapsed() < PATIENCE
        {
            self.hear(Duration::from_millis(20), &mut outcome).await;
        }
        for (n, (group, _)) in self.commands.drain() {
            outcome.wrong.push(format!("command {n} in {group} was not answered"));
        }
        for (id, ()) in self.banned.drain() {
            outcome.wrong.push(format!("message {id} was not recalled"));
        }
        // Nothing more may come.
        self.hear(Duration::from_millis(200), &mut outcome).await;
        outcome
    }

    /// One message of somebody.
    async fn talk(&mut self, since: Instant) {
        let n = self.next;
        self.next += 1;
        // Knuth's linear congruence; the upper bits are good enough to spread people.
        let chance = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1) >> 33;
        let (group, member) = (chance % GROUPS, chance / GROUPS % MEMBERS);
        let text = if n.is_multiple_of(10) {
            self.commands.insert(n, (group, since));
            format!("echo t{n}")
        } else if n % 100 == 1 && !self.words.is_empty() {
            self.banned.insert(n as i64, ());
            format!("你好，{}，看看", self.words[n as usize / 100 % self.words.len()])
        } else {
            "今天天气真不错，有人一起打游戏吗，收到请回复".to_owned()
        };
        let frame = frame(n, group, member, &text);
        self.sink.feed(Message::text(frame)).await.expect("the program reads");
    }

    /// Talks for so long without listening; returns how many messages were sent.
    pub async fn pour(&mut self, time: Duration) -> usize {
        let (began, mut sent) = (Instant::now(), 0);
        while began.elapsed() < time {
            for _ in 0..64 {
                let frame = frame(sent as u64, 1, sent as u64 % MEMBERS, "今天天气真不错");
                self.sink.feed(Message::text(frame)).await.expect("the program reads");
                sent += 1;
            }
            self.sink.flush().await.expect("the program reads");
        }
        sent
    }

    /// Hears what has come; where nothing has, waits so long for it.
    async fn hear(&mut self, wait: Duration, outcome: &mut Outcome) {
        let mut next = tokio::time::timeout(wait, self.source.next()).await.ok();
        while let Some(frame) = next {
            let Some(Ok(frame)) = frame else { panic!("the program closed the connection") };
            if let Message::Text(text) = frame {
                let action: Action<'_> = serde_json::from_str(&text).expect("an action");
                let data = self.act(&action, outcome);
                let echo = action.echo.unwrap_or_default();
                let answer =
                    format!("{{\"status\":\"ok\",\"retcode\":0,\"data\":{data},\"echo\":{echo}}}");
                self.sink.feed(Message::text(answer)).await.expect("the program reads");
            }
            next = self.source.next().now_or_never();
        }
        self.sink.flush().await.expect("the program reads");
    }

    /// Does what is asked for, and says what came of it.
    fn act(&mut self, action: &Action<'_>, outcome: &mut Outcome) -> String {
        match action.action {
            "send_group_msg" | "send_msg" => {
                self.said(action, outcome);
                self.own += 1;
                format!("{{\"message_id\":{}}}", 1_000_000_000 + self.own)
            }
            "delete_msg" => {
                let id = action.params.message_id.unwrap_or_default();
                if self.banned.remove(&id).is_none() {
                    outcome.wrong.push(format!("message {id} was recalled"));
                }
                "null".to_owned()
            }
            "get_status" => "{\"online\":true,\"good\":true}".to_owned(),
            "get_login_info" => format!("{{\"user_id\":{SELF_ID},\"nickname\":\"bot\"}}"),
            _ => "null".to_owned(),
        }
    }

    /// Judges a message of the program.
    fn said(&mut self, action: &Action<'_>, outcome: &mut Outcome) {
        let message = action.params.message.as_ref().map(|message| match message {
            serde_json::Value::Array(segments) => {
                let text = |segment: &serde_json::Value| {
                    segment["data"]["text"].as_str().unwrap_or_default().to_owned()
                };
                segments.iter().map(text).collect()
            }
            other => other.as_str().unwrap_or_default().to_owned(),
        });
        let message = message.unwrap_or_default();
        let number = message.trim().strip_prefix('t').and_then(|n| n.parse::<u64>().ok());
        let Some((n, (group, since))) =
            number.and_then(|n| self.commands.remove(&n).map(|command| (n, command)))
        else {
            outcome.wrong.push(format!("`{message}` answers nothing that waits"));
            return;
        };
        if action.params.group_id != Some(700_000 + group) {
            outcome.wrong.push(format!("command {n} of {group} was answered elsewhere"));
        }
        if self.last.insert(group, n).is_some_and(|last| last > n) {
            outcome.wrong.push(format!("command {n} in {group} was overtaken"));
        }
        outcome.latencies.push(since.elapsed().as_secs_f64() * 1000.0);
    }
}
