//! Tests of the script side through its seam: sources in, answers out, a fake domain behind.

mod api;
mod good;
mod limits;
mod reload;
mod semantics;

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc::unbounded_channel;

use super::load::source;
use super::protocol::{
    Answer, Bundle, EventView, Frame, GroupView, HostCall, HostCalls, HostReply, Manifest, Run,
    RunEnd, RunOutcome, ScriptError, ScriptHost, ScriptLimits, Work,
};
use super::{InlineHost, duration};
use crate::event::Element;
use crate::id::{CommunityId, EventId, GroupId, PersonId, ScriptName};
use crate::moderation::Found;
use crate::refusal::Refusal;
use crate::value::{MemberView, Role, Value, ValueMap};

/// A domain that answers from a script of its own and notes what it was asked.
#[derive(Default)]
pub(super) struct FakeHost {
    pub calls: Vec<HostCall>,
    pub rolled_back: Vec<usize>,
}

impl HostCalls for FakeHost {
    fn call(&mut self, call: HostCall) -> HostReply {
        let reply = match call.name.as_str() {
            "points::spend" => HostReply::Refused(Refusal::new("not_enough").with("need", 10)),
            "points::hold" => HostReply::Wrong("`amount` is at least 1".into()),
            "points::release" => HostReply::Restart,
            "points::settle" => panic!("the fake ledger broke"),
            "red_packet::send" => HostReply::Ok(Value::map([("id", Value::Int(7))])),
            "points::balance" => HostReply::Ok(Value::Int(42)),
            _ => HostReply::Ok(Value::Unit),
        };
        self.calls.push(call);
        reply
    }

    fn rollback(&mut self, run: usize) {
        self.rolled_back.push(run);
    }

    fn restart(&mut self) {}

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// What a frame came to.
pub(super) struct Result {
    pub answer: Answer,
    pub host: FakeHost,
}

impl Result {
    pub fn first(&self) -> &RunOutcome {
        &self.answer.outcomes[0]
    }

    /// The failure of the first run.
    pub fn failure(&self) -> &ScriptError {
        match &self.first().end {
            RunEnd::Failed(error) => error,
            other => panic!("expected a failure, got {other:?}"),
        }
    }

    /// The limit that the first run hit.
    pub fn limit(&self) -> &str {
        self.failure().limit.as_deref().unwrap_or_else(|| panic!("{:?}", self.failure()))
    }
}

/// Scripts in a host, ready for frames.
pub(super) struct Bench {
    host: InlineHost,
    pub manifests: Vec<Manifest>,
}

impl Bench {
    pub fn new(scripts: &[&str]) -> Self {
        // Debug builds are slow and machines are busy; only one test is about wall time.
        Self::with_limits(scripts, ScriptLimits { handler_ms: 60_000, ..ScriptLimits::default() })
    }

    pub fn with_limits(scripts: &[&str], limits: ScriptLimits) -> Self {
        let host = InlineHost::new(limits).expect("a thread");
        let mut bundle = Bundle { number: 1, sources: BTreeMap::new() };
        let mut manifests = Vec::new();
        for (index, text) in scripts.iter().enumerate() {
            let name = format!("s{index}");
            let source = source(&name, &format!("scripts/{name}.rhai"), false, text);
            match host.check(&source) {
                Ok(manifest) => manifests.push(manifest),
                Err(problems) => panic!("{problems:#?}"),
            }
            bundle.sources.insert(source.name.clone(), source);
        }
        host.install(Arc::new(bundle));
        Self { host, manifests }
    }

    pub fn run(&self, frame: Frame) -> Result {
        let (done, mut answers) = unbounded_channel();
        self.host.submit(vec![Work { frame, host: Box::new(FakeHost::default()) }], done);
        let done = answers.try_recv().expect("the answer is there when `submit` returns");
        let host = done.host.into_any().downcast::<FakeHost>().expect("the fake host");
        Result { answer: done.answer, host: *host }
    }
}

/// Runs the body of one `on_message` handler.
pub(super) fn on_message(body: &str) -> Result {
    Bench::new(&[&format!("on_message(|m| {{ {body} }});")]).run(frame(&[("s0", 0)]))
}

pub(super) fn member(id: i64, name: &str) -> Arc<MemberView> {
    Arc::new(MemberView {
        id: PersonId(id),
        name: name.into(),
        nickname: name.into(),
        role: Role::Member,
        trust: 2,
        points: 200,
        tags: vec!["老友".into()],
        joined_at: 0,
        messages: 12,
        warnings: 0,
        is_bot: false,
        score: 12,
        level: 2,
    })
}

/// A message event for these handlers.
pub(super) fn frame(runs: &[(&str, u16)]) -> Frame {
    let run = |&(script, handler): &(&str, u16)| Run {
        script: ScriptName::new(script),
        handler,
        args: ValueMap::new(),
        settings: Arc::new(ValueMap::new()),
        shadow: false,
        spared: None,
    };
    Frame {
        turn: EventId(1),
        community: CommunityId(1),
        is_ahead: false,
        bundle: 1,
        now: 1_795_395_600_000, // 2026-11-23 09:00 in Shanghai
        utc_offset_s: 8 * 3600,
        locale: "zh".into(),
        seed: 7,
        event: EventView {
            member: Some(member(1, "阿明")),
            group: Some(GroupView { id: GroupId(3), name: "晨跑群".into(), members: 4 }),
            at: 1_795_395_599_000,
            message: Some("m1".into()),
            elements: [Element::Text("你好 https://a.example/x,看".into())].into(),
            quote: None,
            mentions: vec![member(2, "小红")],
            value: String::new(),
            data: Value::Unit,
        },
        words: vec![Found { list: "ads".into(), words: vec!["刷单".into()] }],
        runs: runs.iter().map(run).collect(),
    }
}

#[test]
fn durations_are_shared() {
    assert_eq!(duration::parse("2小时"), Some(7_200_000));
}
