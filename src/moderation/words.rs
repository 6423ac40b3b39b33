//! Word lists: scripts/words/NAME.txt, one word a line.
//!
//! `# …` is a comment, `!word` an allowed word that is taken out of the text before the others are
//! looked for, `word!` a word that is listed although it is so short that it will hit innocents.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use aho_corasick::{AhoCorasick, MatchKind};

use super::views::{Views, as_is, joined};

/// All lists, by name.
#[derive(Debug, Default)]
pub struct WordLists {
    lists: BTreeMap<String, WordList>,
}

/// Something wrong in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordProblem {
    /// The file.
    pub path: String,
    /// Its line, from 1; 0 where it concerns the whole file.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl std::fmt::Display for WordProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// One list, ready to match.
#[derive(Debug)]
struct WordList {
    /// Words as they were written.
    words: Vec<String>,
    as_is: Matcher,
    joined: Matcher,
}

/// The matcher of one view.
#[derive(Debug)]
struct Matcher {
    automaton: AhoCorasick,
    /// For each pattern: which word, or `None` for an allowed one.
    owners: Vec<Option<usize>>,
}

/// What stands on a line.
enum Entry {
    Word(String),
    Allowed(String),
}

impl WordLists {
    /// Reads every `*.txt` of a folder; one that does not exist holds no list. A line that is
    /// wrong is told and left out.
    pub fn load(folder: &Path) -> (Self, Vec<WordProblem>) {
        let (mut lists, mut problems) = (BTreeMap::new(), Vec::new());
        let mut paths: Vec<_> = match std::fs::read_dir(folder) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(_) => Vec::new(),
        };
        paths.sort();
        for path in paths.iter().filter(|path| path.extension().is_some_and(|end| end == "txt")) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let shown = path.to_string_lossy();
            match std::fs::read_to_string(path) {
                Ok(text) => {
                    let list = WordList::parse(&shown, &text, &mut problems);
                    lists.extend(list.map(|list| (name, list)));
                }
                Err(error) => {
                    problems.push(problem(&shown, 0, format!("this list cannot be read: {error}")));
                }
            }
        }
        (Self { lists }, problems)
    }

    /// Names of the lists.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lists.keys().map(String::as_str)
    }

    /// Whether there is a list of this name.
    pub fn contains(&self, list: &str) -> bool {
        self.lists.contains_key(list)
    }

    /// The words of a list that occur in a text, each once, in the order of the list; empty where
    /// there is no such list.
    pub fn hits(&self, list: &str, text: &str) -> Vec<String> {
        self.hits_in(list, &Views::of(text))
    }

    /// The same for a text whose views are there already.
    pub fn hits_in(&self, list: &str, views: &Views) -> Vec<String> {
        self.lists.get(list).map(|list| list.hits(views)).unwrap_or_default()
    }
}

impl WordList {
    /// Reads one list; `None` where it cannot be used at all.
    fn parse(path: &str, text: &str, problems: &mut Vec<WordProblem>) -> Option<Self> {
        let (mut words, mut allowed, mut known) = (Vec::new(), Vec::new(), HashSet::new());
        for (index, line) in text.lines().enumerate() {
            match entry(line) {
                Ok(Some(Entry::Word(word))) if known.insert(word.clone()) => words.push(word),
                Ok(Some(Entry::Allowed(word))) => allowed.push(word),
                Ok(_) => {}
                Err(message) => problems.push(problem(path, index + 1, message)),
            }
        }
        let matcher = |view: fn(&str) -> String| Matcher::new(&words, &allowed, view);
        let made =
            matcher(as_is).and_then(|first| Ok((first, matcher(|word| joined(&as_is(word)))?)));
        match made {
            Ok((as_is, joined)) => Some(Self { words, as_is, joined }),
            Err(error) => {
                problems.push(problem(path, 0, format!("this list cannot be used: {error}")));
                None
            }
        }
    }

    fn hits(&self, views: &Views) -> Vec<String> {
        let mut found = BTreeSet::new();
        // A text without separators can hold no word that has any.
        if views.joined.is_some() {
            self.as_is.find(&views.as_is, &mut found);
        }
        self.joined.find(views.joined(), &mut found);
        found.into_iter().filter_map(|word| self.words.get(word).cloned()).collect()
    }
}

impl Matcher {
    /// Longest match first, so that an allowed `微信支付` beats the word `微信` within it.
    fn new(
        words: &[String],
        allowed: &[String],
        view: fn(&str) -> String,
    ) -> Result<Self, aho_corasick::BuildError> {
        let allowed = allowed.iter().map(|word| (None, view(word)));
        let words = words.iter().enumerate().map(|(index, word)| (Some(index), view(word)));
        // A word of punctuation alone is nothing in the joined view.
        let (owners, patterns): (Vec<_>, Vec<_>) =
            allowed.chain(words).filter(|(_, pattern)| !pattern.is_empty()).unzip();
        let automaton =
            AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(patterns)?;
        Ok(Self { automaton, owners })
    }

    /// Allowed spans are cut out first; what is left on either side stays apart.
    fn find(&self, text: &str, found: &mut BTreeSet<usize>) {
        let owners = self
            .automaton
            .find_iter(text)
            .filter_map(|hit| self.owners.get(hit.pattern().as_usize()).copied().flatten());
        found.extend(owners);
    }
}

/// What a line says.
fn entry(line: &str) -> Result<Option<Entry>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    if let Some(allowed) = line.strip_prefix('!') {
        let allowed = allowed.trim();
        return Ok((!allowed.is_empty()).then(|| Entry::Allowed(allowed.to_owned())));
    }
    if let Some(word) = line.strip_suffix('!') {
        return Ok(Some(Entry::Word(word.trim().to_owned())));
    }
    let view = joined(&as_is(line));
    let length = view.chars().count();
    if length == 0 {
        return Err(format!(
            "`{line}` has neither letters nor digits: it would match nothing for sure"
        ));
    }
    if length == 1 {
        return Err(format!(
            "`{line}` is a single character and would hit innocent messages: write a longer word, or `{line}!` if you mean it"
        ));
    }
    if length <= 3 && view.is_ascii() {
        return Err(format!(
            "`{line}` is so short that it occurs inside other words: write a longer word, or `{line}!` if you mean it"
        ));
    }
    Ok(Some(Entry::Word(line.to_owned())))
}

fn problem(path: &str, line: usize, message: String) -> WordProblem {
    WordProblem { path: path.to_owned(), line, message }
}

#[cfg(test)]
mod tests {
    use super::{Views, WordList, WordLists};

    fn list(text: &str) -> (WordList, Vec<String>) {
        let mut problems = Vec::new();
        let list = WordList::parse("words/ads.txt", text, &mut problems).expect("a list");
        let problems = problems.iter().map(|p| format!("{}: {}", p.line, p.message)).collect();
        (list, problems)
    }

    fn hits(list: &WordList, text: &str) -> Vec<String> {
        list.hits(&Views::of(text))
    }

    #[test]
    fn finds_words_behind_separators_and_width() {
        let (list, problems) = list("# 广告\n加微信\n兼职 日结\n刷单\n");
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(hits(&list, "想赚钱?加 微·信"), ["加微信"]);
        assert_eq!(hits(&list, "兼职日结,刷\u{200b}单"), ["兼职 日结", "刷单"]);
        assert!(hits(&list, "今天天气不错").is_empty());
    }

    #[test]
    fn allowed_words_are_subtracted() {
        let (list, _) = list("微信\n!微信支付\n");
        assert!(hits(&list, "用微信支付就行").is_empty());
        assert_eq!(hits(&list, "微信支付不了,加微信"), ["微信"]);
    }

    #[test]
    fn short_words_must_be_meant() {
        let (list, problems) = list("广\nvx\nqq!\n…\n");
        assert_eq!(problems.len(), 3);
        assert!(problems[0].starts_with("1: `广` is a single character"), "{problems:?}");
        assert!(problems[1].contains("`vx!` if you mean it"), "{problems:?}");
        assert_eq!(hits(&list, "我的QQ是"), ["qq"]);
    }

    #[test]
    fn the_shipped_lists_are_clean() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/words");
        let (lists, problems) = WordLists::load(&folder);
        assert_eq!(problems, []);
        assert!(lists.contains("ads"));
        assert!(!lists.hits("ads", "兼职刷单日结,加V信:abc123").is_empty());
        assert!(lists.hits("ads", "我用微信支付付的,红包真好玩").is_empty());
        assert!(lists.hits("no-such-list", "加微信").is_empty());
    }
}
