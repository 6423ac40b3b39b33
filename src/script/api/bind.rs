//! The table → Rhai: every row becomes a raw function whose arguments we check ourselves.
//!
//! Rhai resolves a call by the exact types of its arguments and says "function not found" when
//! one is wrong. Parameters are therefore registered as `Dynamic`, and the rows of one name and
//! number of arguments are told apart here, so that the message can name the argument.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::rc::Rc;

use rhai::{
    Dynamic, Engine, EvalAltResult, FuncRegistration, ImmutableString, Module, NativeCallContext,
    Position, RhaiFunc, Shared,
};

use super::super::convert::into_script;
use super::super::fault::{Fault, Outcome};
use super::super::lint::nearest;
use super::super::session::Session;
use super::super::types::{ButtonRef, EventRef, GroupRef, MemberRef, RefusalRef};
use super::{Call, Kind, Needs, Place, Row, Run, Shape, Ty, rows};

type Thrown<T> = Result<T, Box<EvalAltResult>>;

/// Registers everything.
pub(in crate::script) fn install(engine: &mut Engine, session: &Rc<Session>) {
    engine
        .register_type_with_name::<EventRef>("Event")
        .register_type_with_name::<MemberRef>("Member")
        .register_type_with_name::<GroupRef>("Group")
        .register_type_with_name::<ButtonRef>("Button")
        .register_type_with_name::<RefusalRef>("Refusal");
    let mut spaces: BTreeMap<&'static str, Module> = BTreeMap::new();
    let mut globals = Module::new();
    for (named, group) in overloads() {
        let module = match named.place {
            Place::In(space) => spaces.entry(space).or_default(),
            Place::Global | Place::On(_) => &mut globals,
        };
        bind(module, session, &group);
    }
    engine.register_global_module(globals.into());
    for (space, module) in spaces {
        engine.register_static_module(space, module.into());
    }
    install_values(engine);
}

/// Rows by place, kind and name.
fn overloads() -> Vec<(&'static Row, Vec<&'static Row>)> {
    let mut found: Vec<(&'static Row, Vec<&'static Row>)> = Vec::new();
    for row in rows() {
        let same = found.iter_mut().find(|(first, _)| {
            first.place == row.place && first.kind == row.kind && first.name == row.name
        });
        match same {
            Some((_, group)) => group.push(row),
            None => found.push((row, vec![row])),
        }
    }
    found
}

/// Registers one name for every number of arguments that it takes.
fn bind(module: &mut Module, session: &Rc<Session>, group: &[&'static Row]) {
    let Some(first) = group.first() else { return };
    let least = group.iter().map(|row| row.least()).min().unwrap_or(0);
    let most = group.iter().map(|row| row.params.len()).max().unwrap_or(0);
    for count in least..=most {
        let fitting: Rc<[&'static Row]> = group
            .iter()
            .copied()
            .filter(|row| row.least() <= count && count <= row.params.len())
            .collect();
        if fitting.is_empty() {
            continue;
        }
        let mut types = vec![TypeId::of::<Dynamic>(); count];
        if let Place::On(ty) = first.place {
            types.insert(0, receiver(ty));
        }
        let session = Rc::clone(session);
        let func = move |context: Option<NativeCallContext>, args: &mut [&mut Dynamic]| {
            let at = context.as_ref().map_or(Position::NONE, NativeCallContext::call_position);
            // A char, a text and a text slice are one type to us, so values are cloned as they are.
            let args: Vec<Dynamic> = args.iter().map(|arg| (**arg).clone()).collect();
            dispatch(&session, &fitting, &args, at).map_err(|fault| fault.thrown(&session, at))
        };
        let registration = match first.kind {
            Kind::Getter => FuncRegistration::new_getter(first.name),
            Kind::Function => FuncRegistration::new(first.name),
        };
        let func = Shared::new(func);
        let func = match first.place {
            Place::On(_) => {
                RhaiFunc::Method { func, has_context: true, is_pure: true, is_volatile: true }
            }
            Place::Global | Place::In(_) => {
                RhaiFunc::Pure { func, has_context: true, is_pure: true, is_volatile: true }
            }
        };
        registration.in_global_namespace().set_into_module_raw(module, types, func);
    }
}

/// The Rust type behind a receiver.
fn receiver(ty: Ty) -> TypeId {
    match ty {
        Ty::Member => TypeId::of::<MemberRef>(),
        Ty::Group => TypeId::of::<GroupRef>(),
        _ => TypeId::of::<EventRef>(),
    }
}

/// Chooses the row that the arguments fit and runs it.
fn dispatch(
    session: &Session,
    group: &[&'static Row],
    args: &[Dynamic],
    at: Position,
) -> Outcome<Dynamic> {
    let calls = group.iter().map(|row| Call { row, args, session, at });
    let best = calls.max_by_key(|call| (call.fits(), call.fitting()));
    let Some(call) = best else { return Ok(Dynamic::UNIT) };
    if let (Kind::Getter, Ok(event)) = (call.row.kind, call.event()) {
        // A command's own parameter wins over what every event has under that name.
        if let Some(value) = parameter(&event, call.row.name) {
            return Ok(value);
        }
    }
    if !call.fits() {
        return call.mismatch();
    }
    check_context(&call)?;
    match call.row.run {
        Run::Register(register) => {
            match session.registering(|registry| register(&call, registry)) {
                Some(done) => done.map(|()| Dynamic::UNIT),
                None => Fault::wrong(format!(
                    "`{}` registers and works at the top level only: move it out of the handler",
                    call.name()
                )),
            }
        }
        Run::Pure(answer) => answer(&call),
        Run::Effect(wish) => session.effect(wish(&call)?).map(|()| Dynamic::UNIT),
        Run::Host => call.forward(),
    }
}

/// Whether the call works in the handler that makes it.
fn check_context(call: &Call) -> Outcome<()> {
    let Ok(event) = call.event() else { return Ok(()) };
    if call.row.place != Place::On(Ty::Event) || event.shape.offers(call.row.needs) {
        return Ok(());
    }
    Fault::wrong(out_of_place(call.row, event.shape))
}

/// The sentence for a row that does not work in a handler of this shape.
pub(in crate::script) fn out_of_place(row: &Row, shape: Shape) -> String {
    let lacks = match row.needs {
        Needs::Actor if row.name == "reply" || row.name == "card" => "nobody to answer",
        Needs::Actor => "no member",
        Needs::Emoji => "no emoji",
        Needs::Value => "no button",
        Needs::Request => "no join request",
        Needs::Timer => "no timer",
        Needs::Message | Needs::Content | Needs::Handler | Needs::TopLevel => "no message",
    };
    let next = match (row.name, shape) {
        ("reply", Shape::Timer) => ": post with `say(text)`",
        ("card", Shape::Timer) => ": show it with `card(key, text)`",
        ("member", Shape::Timer) => {
            ": give what is needed along with `after(delay, name, data)` and read `t.data`"
        }
        _ => "",
    };
    let word = shape.word();
    format!("`{}` does not work in `{word}`: there is {lacks}{next}", row.name)
}

/// The value of a command's parameter; `()` for an optional one that was not given.
fn parameter(event: &EventRef, name: &str) -> Option<Dynamic> {
    if !event.params.iter().any(|param| param == name) {
        return None;
    }
    let run = event.frame.runs.get(event.run)?;
    Some(run.args.get(name).cloned().map_or(Dynamic::UNIT, into_script))
}

/// Equality, texts and fallbacks of our types.
fn install_values(engine: &mut Engine) {
    engine
        .register_fn("==", |a: MemberRef, b: MemberRef| a.0.id == b.0.id)
        .register_fn("!=", |a: MemberRef, b: MemberRef| a.0.id != b.0.id)
        .register_fn("==", |a: GroupRef, b: GroupRef| a.0.id == b.0.id)
        .register_fn("!=", |a: GroupRef, b: GroupRef| a.0.id != b.0.id)
        .register_fn("to_string", |member: &mut MemberRef| text(&member.0.nickname))
        .register_fn("to_string", |group: &mut GroupRef| text(&group.0.name))
        .register_fn("to_string", |refusal: &mut RefusalRef| refusal.0.code.clone())
        .register_get("code", |refusal: &mut RefusalRef| refusal.0.code.clone())
        .register_get("data", |refusal: &mut RefusalRef| {
            into_script(crate::value::Value::Map(refusal.0.data.clone()))
        })
        .register_indexer_get(|refusal: &mut RefusalRef, name: ImmutableString| {
            refusal.0.data.get(name.as_str()).cloned().map_or(Dynamic::UNIT, into_script)
        })
        .register_indexer_get(|event: &mut EventRef, name: ImmutableString| property(event, &name))
        .register_indexer_get(|_: &mut MemberRef, name: ImmutableString| {
            unknown(Ty::Member, &[], &name)
        })
        .register_indexer_get(|_: &mut GroupRef, name: ImmutableString| {
            unknown(Ty::Group, &[], &name)
        });
}

fn text(name: &str) -> ImmutableString {
    name.into()
}

/// What stands after an event's dot and is not in the table: a parameter, or a mistake.
fn property(event: &EventRef, name: &str) -> Thrown<Dynamic> {
    parameter(event, name).map_or_else(|| unknown(Ty::Event, &event.params, name), Ok)
}

/// Names the nearest property.
fn unknown(ty: Ty, params: &[String], name: &str) -> Thrown<Dynamic> {
    let getters = rows()
        .filter(|row| row.place == Place::On(ty) && row.kind == Kind::Getter)
        .map(|row| row.name)
        .chain(params.iter().map(String::as_str));
    let hint =
        nearest(name, getters).map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
    let message = format!("{} has no `{name}`{hint}", ty.word());
    Err(EvalAltResult::ErrorRuntime(message.into(), Position::NONE).into())
}
