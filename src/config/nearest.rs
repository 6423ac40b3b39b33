//! The right name nearest to a wrong one, for "did you mean".
//!
//! Silent rather than silly: a suggestion that is too far away is none.

/// The nearest of `names`, or `None` where nothing is near.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    names
        .into_iter()
        .filter_map(|name| {
            let other = name.to_lowercase();
            let longest = length.max(other.chars().count());
            let distance = strsim::damerau_levenshtein(&word, &other);
            let near = distance <= (longest / 3).max(1) && distance < longest;
            let part = length >= 3 && (other.starts_with(&word) || word.starts_with(&other));
            let end = length >= 4 && other.ends_with(&format!("_{word}"));
            (near || part || end).then_some((distance, name))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `, did you mean …`, or nothing.
pub(super) fn did_you_mean(found: Option<&str>) -> String {
    found.map_or(String::new(), |name| format!(", did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_what_was_meant_and_nothing_else() {
        let names = ["token", "url", "timezone", "no-ads"];
        let check = |word, expected| assert_eq!(nearest(word, names), expected, "{word}");
        check("tokn", Some("token"));
        check("Timezone", Some("timezone"));
        check("time", Some("timezone"));
        check("zone", None);
        check("no_ads", Some("no-ads"));
        check("password", None);
        assert_eq!(
            nearest("handler_ms", ["timers", "script_handler_ms"]),
            Some("script_handler_ms")
        );
        check("x", None);
    }
}
