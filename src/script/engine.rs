//! One thread's Rhai engine: raw, with chosen packages, without eval, modules, files or time.

use std::rc::Rc;

use rhai::module_resolvers::DummyModuleResolver;
use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage,
    BasicMathPackage, BasicStringPackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{Engine, OptimizationLevel, Token};

use super::session::Session;
use super::{api, containers, limits, sorting, strings};

/// Keywords that a script has no use for and a hostile one has: `eval` nests without measure,
/// `curry` makes values that only a deep stack can drop.
const DISABLED: [&str; 4] = ["eval", "curry", "import", "export"];

/// An engine that lets undefined names pass, so that the lint can look at the rest of a script in
/// which there is one.
pub(super) fn lenient(session: &Rc<Session>) -> Engine {
    let mut engine = build(session);
    engine.set_strict_variables(false);
    engine
}

/// An engine whose API functions work on this session.
pub(super) fn build(session: &Rc<Session>) -> Engine {
    let mut engine = Engine::new_raw();
    ArithmeticPackage::new().register_into_engine(&mut engine);
    LogicPackage::new().register_into_engine(&mut engine);
    BasicMathPackage::new().register_into_engine(&mut engine);
    BasicStringPackage::new().register_into_engine(&mut engine);
    MoreStringPackage::new().register_into_engine(&mut engine);
    BasicIteratorPackage::new().register_into_engine(&mut engine);
    BasicFnPackage::new().register_into_engine(&mut engine);
    BasicArrayPackage::new().register_into_engine(&mut engine);
    BasicMapPackage::new().register_into_engine(&mut engine);
    engine.set_module_resolver(DummyModuleResolver::new());
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_strict_variables(true);
    for symbol in DISABLED {
        engine.disable_symbol(symbol);
    }
    free_words(&mut engine);
    limits::install(&mut engine, session);
    strings::install(&mut engine, session);
    containers::install(&mut engine, session);
    sorting::install(&mut engine, session);
    api::install(&mut engine, session);
    engine
}

/// `private` is a word of Rhai's modules, which scripts do not have, and an option of `reply`,
/// which they do: `#{ private: true }` would not parse.
fn free_words(engine: &mut Engine) {
    // Rhai marks `on_parse_token` deprecated to say that it may change; the lock pins the version.
    #[allow(deprecated)]
    engine.on_parse_token(|token, _, _| match token {
        Token::Private => Token::Identifier(Box::new("private".into())),
        token => token,
    });
}
