//! Everything that is looked at before a script goes live.

use std::rc::Rc;

use rhai::{AST, Engine};

use super::manifest::{MAX_PROBLEMS, Registry};
use super::outcome::failure;
use super::protocol::{Manifest, ScriptError, Source};
use super::session::{Session, Stage};
use super::syntax;
use super::{engine, lint};

/// Compiles, registers and lints a script.
///
/// # Errors
/// All that is wrong, in the order of its places.
pub(super) fn check(
    engine: &Engine,
    session: &Rc<Session>,
    source: &Source,
) -> Result<Manifest, Vec<ScriptError>> {
    let (ast, undefined) = match parse(engine, session, source) {
        Ok(ast) => (ast, None),
        // With one name undefined the rest can still be looked at; with a bracket missing it cannot.
        Err(problem) => match parse(&engine::lenient(session), session, source) {
            Ok(ast) => (ast, Some(problem)),
            Err(_) => return Err(vec![problem]),
        },
    };
    let (mut registry, broken) = register(engine, session, source, &ast);
    let complete = broken.is_none() && undefined.is_none();
    let mut problems = lint::script(&ast, &registry.manifest, complete, source);
    problems.extend(undefined.filter(|own| problems.iter().all(|known| known.line != own.line)));
    problems.append(&mut registry.problems);
    // What made the evaluation end is usually a thing that the lint has named better.
    problems.extend(broken.filter(|broken| problems.iter().all(|known| known.line != broken.line)));
    problems.sort_by_key(|problem| (problem.line, problem.column));
    problems.dedup_by(|a, b| (a.line, a.column, &a.message) == (b.line, b.column, &b.message));
    problems.truncate(MAX_PROBLEMS);
    if problems.is_empty() { Ok(registry.manifest) } else { Err(problems) }
}

/// Compiles and registers, as a script thread does with what has been checked before.
///
/// # Errors
/// What stops the script from being used at all.
pub(super) fn compile(
    engine: &Engine,
    session: &Session,
    source: &Source,
) -> Result<(AST, Registry), Vec<ScriptError>> {
    let ast = parse(engine, session, source).map_err(|problem| vec![problem])?;
    match register(engine, session, source, &ast) {
        (registry, None) => Ok((ast, registry)),
        (_, Some(broken)) => Err(vec![broken]),
    }
}

fn parse(engine: &Engine, session: &Session, source: &Source) -> Result<AST, ScriptError> {
    let limit = session.limits.source_bytes;
    if source.text.len() > limit {
        return Err(ScriptError {
            path: source.path.clone(),
            line: 1,
            column: 1,
            message: format!(
                "this script has {} bytes, at most {limit} are allowed: split it into two",
                source.text.len()
            ),
            limit: Some("source_bytes".into()),
        });
    }
    engine.compile(&*source.text).map_err(|error| syntax::explain(&error, source))
}

/// Evaluates the top level; the second value is what ended it early.
fn register(
    engine: &Engine,
    session: &Session,
    source: &Source,
    ast: &AST,
) -> (Registry, Option<ScriptError>) {
    session.begin(Stage::Registering(Box::new(Registry::new(source, ast))));
    let result = engine.run_ast(ast);
    let end = session.take_end();
    let registry = match session.finish() {
        Stage::Registering(registry) => *registry,
        Stage::Idle | Stage::Running(_) => Registry::new(source, ast),
    };
    let broken = result.err().map(|error| failure(&error, end, &source.path));
    (registry, broken)
}
