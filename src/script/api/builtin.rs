//! The functions that Rhai itself brings, as far as its packages are loaded.
//!
//! Rhai tells nobody at run time what is in a package unless it is built with `metadata`, so the
//! lint has this list. A missing name makes the lint refuse a good script; the tests of the
//! packages that people use most keep it honest.

/// Name, fewest and most arguments; the receiver of a method counts.
type Builtin = (&'static str, usize, usize);

#[rustfmt::skip]
static BUILTINS: &[Builtin] = &[
    // The language.
    ("type_of", 1, 1), ("Fn", 1, 1), ("call", 1, 9), ("is_def_var", 1, 1), ("is_def_fn", 2, 2),
    ("is_anonymous", 1, 1), ("print", 0, 1), ("debug", 0, 1), ("to_string", 1, 1), ("to_debug", 1, 1),
    // Text.
    ("len", 1, 1), ("is_empty", 1, 1), ("bytes", 1, 1), ("contains", 2, 2), ("starts_with", 2, 2),
    ("ends_with", 2, 2), ("index_of", 2, 3), ("sub_string", 2, 3), ("crop", 2, 3), ("replace", 3, 3),
    ("repeat", 2, 2), ("trim", 1, 1), ("pad", 3, 3), ("truncate", 2, 2), ("to_upper", 1, 1),
    ("to_lower", 1, 1), ("make_upper", 1, 1), ("make_lower", 1, 1), ("split", 1, 3),
    ("split_rev", 2, 3), ("chars", 1, 3), ("to_chars", 1, 1), ("remove", 2, 2), ("pop", 1, 2),
    ("clear", 1, 1), ("get", 2, 2), ("set", 3, 3), ("append", 2, 2), ("min", 2, 2), ("max", 2, 2),
    // Arrays.
    ("push", 2, 2), ("insert", 3, 3), ("shift", 1, 1), ("reverse", 1, 1), ("drain", 2, 3),
    ("retain", 2, 3), ("splice", 3, 4), ("extract", 2, 3), ("chop", 2, 2), ("dedup", 1, 2),
    ("filter", 2, 2), ("map", 2, 2), ("for_each", 2, 2), ("reduce", 2, 3), ("reduce_rev", 2, 3),
    ("find", 2, 3), ("find_map", 2, 3), ("some", 2, 2), ("all", 2, 2), ("sort", 1, 2),
    ("sort_desc", 1, 1), ("sort_by", 2, 2), ("order", 1, 2), ("order_by", 2, 2), ("order_desc", 1, 1), ("zip", 3, 3),
    // Maps.
    ("keys", 1, 1), ("values", 1, 1), ("mixin", 2, 2), ("fill_with", 2, 2), ("to_json", 1, 1),
    // Numbers.
    ("abs", 1, 1), ("sign", 1, 1), ("is_zero", 1, 1), ("is_odd", 1, 1), ("is_even", 1, 1),
    ("sqrt", 1, 1), ("exp", 1, 1), ("ln", 1, 1), ("log", 1, 2), ("floor", 1, 1), ("ceiling", 1, 1),
    ("round", 1, 1), ("int", 1, 1), ("fraction", 1, 1), ("to_float", 1, 1), ("to_int", 1, 1),
    ("parse_int", 1, 2), ("parse_float", 1, 1), ("is_nan", 1, 1), ("is_finite", 1, 1),
    ("is_infinite", 1, 1), ("sin", 1, 1), ("cos", 1, 1), ("tan", 1, 1), ("hypot", 2, 2),
    ("asin", 1, 1), ("acos", 1, 1), ("atan", 1, 2),
    ("to_degrees", 1, 1), ("to_radians", 1, 1), ("bits", 1, 3), ("PI", 0, 0), ("E", 0, 0), ("to_hex", 1, 1), ("to_octal", 1, 1), ("to_binary", 1, 1),
    // Ranges.
    ("range", 2, 3), ("start", 1, 1), ("end", 1, 1), ("is_inclusive", 1, 1), ("is_exclusive", 1, 1),
];

/// Fewest and most arguments of a function of Rhai's own, if it is one.
pub(in crate::script) fn builtin(name: &str) -> Option<(usize, usize)> {
    let found = BUILTINS.iter().find(|(known, _, _)| *known == name)?;
    Some((found.1, found.2))
}

/// All names, for suggestions.
pub(in crate::script) fn builtin_names() -> impl Iterator<Item = &'static str> {
    BUILTINS.iter().map(|(name, _, _)| *name)
}
