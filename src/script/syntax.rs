//! What the parser says, as sentences for who wrote the script.

use rhai::{LexError, ParseError, ParseErrorType, Position};

use super::manifest::error_at;
use super::protocol::{ScriptError, Source};

/// A parse error with its place, what is wrong and what to do.
pub(super) fn explain(error: &ParseError, source: &Source) -> ScriptError {
    let lines = source.text.lines().count();
    // What is missing at the end is said to be missing behind it, where there is no line to show.
    let at = match error.position() {
        at if at.line().is_none_or(|line| line > lines) => end(&source.text),
        at => at,
    };
    let line = at.line().and_then(|line| source.text.lines().nth(line - 1)).unwrap_or_default();
    let column = at.position().unwrap_or(1);
    let message = cjk(line, column, error.err_type())
        .unwrap_or_else(|| words(error.err_type(), &source.text));
    error_at(&source.path, at, message)
}

/// The end of a script, where the parser has no place for what is missing.
fn end(text: &str) -> Position {
    let last = text.trim_end();
    let (line, column) =
        (last.lines().count(), last.lines().last().map_or(0, |l| l.chars().count()));
    let fit = |number: usize| u16::try_from(number.max(1)).unwrap_or(u16::MAX);
    Position::new(fit(line), fit(column))
}

/// Chinese where a name must stand: the most common mistake, and the least clear message.
fn cjk(line: &str, column: usize, error: &ParseErrorType) -> Option<String> {
    use ParseErrorType as P;
    let is_lexical = matches!(
        error,
        P::BadInput(_)
            | P::PropertyExpected
            | P::VariableExpected
            | P::UnknownOperator(_)
            | P::MissingToken(..)
    );
    let skipped = column.saturating_sub(1);
    let found = line.chars().nth(skipped)?;
    if !is_lexical || found.is_ascii() {
        return None;
    }
    if let Some(latin) = ascii_of(found) {
        return Some(format!("`{found}` is a Chinese punctuation mark: write `{latin}`"));
    }
    let word: String =
        line.chars().skip(skipped).take_while(|c| !c.is_ascii() && c.is_alphanumeric()).collect();
    let before = line.chars().take(skipped).filter(|c| !c.is_whitespace()).last();
    Some(if before == Some('.') {
        format!(
            "`{word}` cannot stand after a dot: names are Latin there; write `[\"{word}\"]` for a key of a map"
        )
    } else {
        format!(
            "`{word}` cannot be a name: names of variables and functions are Latin; put text in quotes, \"{word}\""
        )
    })
}

/// The mark that was meant.
fn ascii_of(mark: char) -> Option<char> {
    Some(match mark {
        '\u{ff08}' => '(',
        '\u{ff09}' => ')',
        '\u{ff0c}' => ',',
        '\u{ff1b}' => ';',
        '\u{ff1a}' => ':',
        '\u{3002}' => '.',
        '\u{ff01}' => '!',
        '\u{ff5b}' => '{',
        '\u{ff5d}' => '}',
        '\u{3010}' => '[',
        '\u{3011}' => ']',
        '\u{ff5c}' => '|',
        '\u{ff1d}' => '=',
        '\u{3001}' => ',',
        '\u{201c}' | '\u{201d}' | '\u{300c}' | '\u{300d}' | '\u{ff02}' => '"',
        _ => return None,
    })
}

/// Every other mistake.
fn words(error: &ParseErrorType, text: &str) -> String {
    use ParseErrorType as P;
    match error {
        P::VariableUndefined(name) => undefined(name, text),
        P::ModuleUndefined(name) => super::lint::unknown_space(name),
        P::UnexpectedEOF => "the script ends too early: a `}`, `)` or `]` is missing".into(),
        P::BadInput(error) => lexical(error),
        P::MissingToken(token, what) => {
            format!("`{token}` is missing here {what}").trim_end().to_owned()
        }
        P::Reserved(word) => reserved(word),
        other => placement(other),
    }
}

/// Things that stand where they may not, or are too large.
fn placement(error: &ParseErrorType) -> String {
    use ParseErrorType as P;
    match error {
        P::LoopBreak => {
            "`break` and `continue` work in loops only: use `return` to leave a handler".into()
        }
        P::WrongFnDefinition => {
            "`fn` stands at the top level only: move it out of the block".into()
        }
        P::FnDuplicatedDefinition(name, count) => {
            format!("the function `{name}` with {count} parameters is there twice: rename one")
        }
        P::DuplicatedProperty(name) => {
            format!("the key `{name}` is there twice in this map: remove one")
        }
        P::AssignmentToConstant(name) => {
            format!("`{name}` is a constant: declare it with `let` to change it")
        }
        P::ExprTooDeep => "this expression is nested too deeply: name its parts with `let`".into(),
        P::TooManyFunctions => {
            "this script has too many functions (at most 64 with handlers): split it into two"
                .into()
        }
        // Rhai counts before it sees whether the array ends, so that exactly the limit is too many.
        P::LiteralTooLarge(what, limit) if what.contains("array") => format!(
            "this array has {limit} entries or more, too many for a script: make it shorter; many \
             words stand in a file of their own, `scripts/words/LIST.txt`, for `on_words(\"LIST\", …)`"
        ),
        P::LiteralTooLarge(what, limit) if what.contains("map") => {
            format!("this map has {limit} entries or more, too many for a script: make it shorter")
        }
        P::LiteralTooLarge(what, limit) => format!(
            "this literal is too large ({}, at most {limit}): make it shorter",
            what.to_lowercase()
        ),
        P::WrongDocComment => {
            "`///` documents a function and stands right before its `fn`: use `//` elsewhere".into()
        }
        P::PropertyExpected => "the name of a property is missing after the dot".into(),
        P::VariableExpected => "a name is missing here".into(),
        P::ExprExpected(what) => format!("something is missing here: {what} was expected"),
        other => other.to_string(),
    }
}

fn lexical(error: &LexError) -> String {
    match error {
        LexError::UnterminatedString => "this text has no end: add a `\"` where it stops".into(),
        LexError::MalformedEscapeSequence(text) => {
            format!("`{text}` means nothing in a text: write `\\\\` for a backslash")
        }
        LexError::MalformedNumber(text) => format!("`{text}` is not a number"),
        LexError::UnexpectedInput(text) => format!("`{text}` means nothing here"),
        LexError::ImproperSymbol(symbol, hint) if hint.is_empty() => {
            format!("`{symbol}` means nothing here")
        }
        LexError::ImproperSymbol(symbol, hint) => format!("`{symbol}` means nothing here: {hint}"),
        other => other.to_string(),
    }
}

/// A word that Rhai keeps for itself, or that is switched off.
fn reserved(word: &str) -> String {
    match word {
        "eval" | "curry" => {
            format!("`{word}` is switched off: a script is what is written in its file")
        }
        "import" | "export" => {
            format!("`{word}` is switched off: every script stands alone in its file")
        }
        _ => format!("`{word}` is a reserved word: choose another name"),
    }
}

/// A name that is not in sight, most often one from outside a handler.
fn undefined(name: &str, text: &str) -> String {
    let declared = |word: &str| {
        text.lines().any(|line| {
            let rest = line.trim_start().strip_prefix(word);
            rest.and_then(|rest| rest.trim_start().strip_prefix(name))
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
    };
    if declared("let ") || declared("const ") {
        return format!(
            "`{name}` is not visible inside a handler: keep it with state::, configure it with setting(), or define it inside"
        );
    }
    if declared("fn ") {
        return format!(
            "`{name}` is a function: call it, `{name}(…)`, or move its `fn` above this line to name it as a handler"
        );
    }
    if super::lint::is_space(name) {
        return format!("`{name}` is a namespace: write `{name}::…`");
    }
    format!(
        "there is no variable `{name}` here: define it with `let`, or put text in quotes, \"{name}\""
    )
}
