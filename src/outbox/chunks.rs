//! Long messages: cut where a reader would pause, each part a delivery of its own.
//!
//! A part says in its key where it belongs, so that a restart knows too. Nothing but text is ever
//! cut: a mention, a picture, a link and an address within a text stay whole.

use unicode_segmentation::UnicodeSegmentation as _;

use crate::event::Element;

/// Parts of one message; what would need more is left out, and told.
pub const CHUNKS_MAX: usize = 10;

/// A part of a long message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The message that it is a part of.
    pub chain: &'a str,
    /// Which part, from 1.
    pub n: usize,
    /// How many there are.
    pub count: usize,
}

impl<'a> Chunk<'a> {
    /// The key of a delivery that is a part.
    pub fn key(chain: &str, n: usize, count: usize) -> String {
        format!("{chain}~{n}/{count}")
    }

    /// Which part a delivery with this key is; `None` where it is whole.
    pub fn of(key: &'a str) -> Option<Self> {
        let (chain, place) = key.split_once('~')?;
        let (n, count) = place.split_once('/')?;
        Some(Self { chain, n: n.parse().ok()?, count: count.parse().ok()? })
    }

    /// The key of the part before it.
    pub fn before(&self) -> Option<String> {
        (self.n > 1).then(|| Self::key(self.chain, self.n - 1, self.count))
    }

    /// Others follow it.
    pub fn has_more(&self) -> bool {
        self.n < self.count
    }
}

/// Cuts a message into parts of which none is longer than `limit` as `length` counts. What fits is
/// one part. A single element that is too long and cannot be cut is a part of its own.
pub fn cut(
    content: Vec<Element>,
    limit: usize,
    length: impl Fn(&[Element]) -> usize,
) -> Vec<Vec<Element>> {
    if length(&content) <= limit {
        return vec![content];
    }
    let mut cutter = Cutter { parts: Vec::new(), part: Vec::new(), limit, length };
    for element in joined(content) {
        cutter.add(element);
    }
    cutter.end_part();
    cutter.parts.into_iter().map(lines).collect()
}

/// Text and the breaks in it as one text, so that its paragraphs are seen.
fn joined(content: Vec<Element>) -> Vec<Element> {
    let mut all: Vec<Element> = Vec::with_capacity(content.len());
    for element in content {
        let more = match &element {
            Element::Text(text) => text.as_str(),
            Element::Break => "\n",
            _ => {
                all.push(element);
                continue;
            }
        };
        match all.last_mut() {
            Some(Element::Text(text)) => text.push_str(more),
            _ => all.push(Element::Text(more.to_owned())),
        }
    }
    all
}

/// The way back: a break between two lines.
fn lines(part: Vec<Element>) -> Vec<Element> {
    let mut all = Vec::with_capacity(part.len());
    for element in part {
        let Element::Text(text) = element else {
            all.push(element);
            continue;
        };
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                all.push(Element::Break);
            }
            if !line.is_empty() {
                all.push(Element::Text(line.to_owned()));
            }
        }
    }
    all
}

struct Cutter<F> {
    parts: Vec<Vec<Element>>,
    part: Vec<Element>,
    limit: usize,
    length: F,
}

impl<F: Fn(&[Element]) -> usize> Cutter<F> {
    fn add(&mut self, element: Element) {
        let (text, whole): (&str, fn(String) -> Element) = match &element {
            Element::Text(text) => (text, Element::Text),
            Element::Code(text) => (text, Element::Code),
            Element::Mention { .. }
            | Element::MentionAll
            | Element::Link { .. }
            | Element::Image { .. }
            | Element::File { .. }
            | Element::Emoji(_)
            | Element::Button { .. }
            | Element::Break => {
                self.add_whole(element);
                return;
            }
        };
        let mut rest = text;
        while !rest.is_empty() {
            let room = self.fits(rest, whole);
            if room == rest.len() {
                self.part.push(whole(rest.to_owned()));
                return;
            }
            let is_fresh = self.part.is_empty();
            let at = pause(rest, room, is_fresh);
            if at > 0 {
                self.part.push(whole(rest[..at].trim_end().to_owned()));
                // The indent of a line of code means something.
                rest = match element {
                    Element::Code(_) => rest[at..].trim_start_matches('\n'),
                    _ => rest[at..].trim_start(),
                };
            } else if is_fresh {
                // Not even one letter fits: a platform without room. Left to the adapter to refuse.
                self.part.push(whole(rest.to_owned()));
                return;
            }
            self.end_part();
        }
    }

    fn add_whole(&mut self, element: Element) {
        self.part.push(element);
        if (self.length)(&self.part) <= self.limit || self.part.len() == 1 {
            return;
        }
        let Some(element) = self.part.pop() else { return };
        self.end_part();
        self.part.push(element);
    }

    /// How many bytes of a text fit into the part that has begun, in whole graphemes.
    fn fits(&mut self, text: &str, whole: fn(String) -> Element) -> usize {
        let ends: Vec<usize> =
            text.grapheme_indices(true).map(|(at, letter)| at + letter.len()).collect();
        // Not one more than the limit can fit, however little each counts.
        let most = ends.len().min(self.limit.saturating_add(1));
        let count = ends[..most].partition_point(|end| {
            self.part.push(whole(text[..*end].to_owned()));
            let does = (self.length)(&self.part) <= self.limit;
            self.part.pop();
            does
        });
        count.checked_sub(1).map_or(0, |last| ends[last])
    }

    fn end_part(&mut self) {
        let part = std::mem::take(&mut self.part);
        let is_blank =
            |element: &Element| matches!(element, Element::Text(text) if text.trim().is_empty());
        if !part.iter().all(is_blank) {
            self.parts.push(part);
        }
    }
}

/// Signs that end a sentence.
const SENTENCE_ENDS: &[char] = &['。', '！', '？', '!', '?', '…', '；', ';'];

/// Where within the first `room` bytes a reader would pause: after a paragraph, a line, a sentence,
/// a word; at the worst between two letters. Later is better, as long as half of the room is used.
/// 0 where it is better to begin a new part first; never in the middle of an address that would
/// fit into one.
fn pause(text: &str, room: usize, is_fresh: bool) -> usize {
    let room = before_address(text, room, is_fresh);
    let head = &text[..room];
    let sentence = |at: usize, c: char| {
        let rest = &head[at + c.len_utf8()..];
        let is_end = SENTENCE_ENDS.contains(&c) && !rest.starts_with(SENTENCE_ENDS);
        // A full stop in a number or a name ends nothing.
        (is_end || c == '.' && rest.starts_with(char::is_whitespace)).then_some(at + c.len_utf8())
    };
    let found = [
        head.rfind("\n\n").map(|at| at + 2),
        head.rfind('\n').map(|at| at + 1),
        head.char_indices().rev().find_map(|(at, c)| sentence(at, c)),
        head.char_indices().rev().find(|(_, c)| c.is_whitespace()).map(|(at, c)| at + c.len_utf8()),
    ];
    let late = found.into_iter().flatten().find(|at| *at * 2 >= room && is_outside(text, *at));
    late.unwrap_or(room)
}

fn is_outside(text: &str, at: usize) -> bool {
    before_address(text, at, false) == at
}

/// Moves a cut in front of the address that it would go through. An address that begins a fresh
/// part is longer than any: it is cut.
fn before_address(text: &str, cut: usize, is_fresh: bool) -> usize {
    let starts = ["https://", "http://"].into_iter().flat_map(|scheme| text.match_indices(scheme));
    let through = starts.map(|(start, _)| start).find(|start| {
        let end = text[*start..].find(|c: char| c.is_whitespace() || !c.is_ascii());
        let end = end.map_or(text.len(), |length| start + length);
        *start < cut && cut < end
    });
    match through {
        Some(0) if is_fresh => cut,
        Some(start) => start,
        None => cut,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::Ref;

    fn chars(content: &[Element]) -> usize {
        crate::event::plain_text(content).chars().count()
    }

    fn texts(text: &str, limit: usize) -> Vec<String> {
        let parts = cut(vec![Element::Text(text.to_owned())], limit, chars);
        parts.iter().map(|part| crate::event::plain_text(part)).collect()
    }

    #[test]
    fn it_pauses_where_a_reader_would() {
        assert_eq!(texts("短", 5), ["短"]);
        assert_eq!(texts("第一段说完。\n\n第二段。", 10), ["第一段说完。", "第二段。"]);
        assert_eq!(texts("第一行字\n第二行字", 7), ["第一行字", "第二行字"]);
        assert_eq!(texts("说完了。再说一句话吧", 7), ["说完了。", "再说一句话吧"]);
        assert_eq!(texts("one two three", 9), ["one two", "three"]);
        assert_eq!(texts("version 3.5 is out. Go", 20), ["version 3.5 is out.", "Go"]);
        assert_eq!(texts("没有停顿的一句话", 3), ["没有停", "顿的一", "句话"]);
        // A pause so early that most of the room would be wasted is none.
        assert_eq!(texts("嗯。没有停顿的一句话", 9), ["嗯。没有停顿的一句", "话"]);
    }

    #[test]
    fn letters_of_several_signs_stay_whole() {
        let family = "👨\u{200d}👩\u{200d}👧";
        let parts = texts(&family.repeat(3), 11);
        assert_eq!(parts, [family.repeat(2), family.to_owned()]);
        assert_eq!(texts("e\u{301}e\u{301}e\u{301}", 3), ["e\u{301}", "e\u{301}", "e\u{301}"]);
    }

    #[test]
    fn mentions_links_and_addresses_are_never_cut() {
        assert_eq!(
            texts("看看 https://a.example/xyz 吧", 23),
            ["看看", "https://a.example/xyz 吧"]
        );
        let mention = Element::Mention { id: Ref::new("test", "1"), name: "小红".to_owned() };
        let link = Element::Link {
            url: "https://a.example/".to_owned(),
            title: Some("标题".to_owned()),
        };
        let text = |text: &str| Element::Text(text.to_owned());
        let content = vec![text("一二三四"), mention.clone(), text("五"), link.clone()];
        let length = |content: &[Element]| {
            let count = |element: &Element| if *element == mention { 3 } else { 0 };
            chars(content) + content.iter().map(count).sum::<usize>()
        };
        let parts = cut(content, 6, length);
        assert_eq!(parts, [vec![text("一二三四")], vec![mention, text("五"), link]]);
        // An address that is longer than a whole message has to be.
        assert_eq!(texts("https://a.example/", 10), ["https://a.", "example/"]);
    }

    #[test]
    fn a_key_says_which_part() {
        let key = Chunk::key("12-0", 2, 3);
        let chunk = Chunk::of(&key).expect("a part");
        assert_eq!((chunk.chain, chunk.n, chunk.count), ("12-0", 2, 3));
        assert_eq!(chunk.before().as_deref(), Some("12-0~1/3"));
        assert!(chunk.has_more());
        assert_eq!(Chunk::of("12-0"), None);
        assert_eq!(Chunk::of("12-0~x/3"), None);
    }

    proptest! {
        #[test]
        fn every_part_fits_and_nothing_is_lost(
            text in "([a-z。，\\n 👍]|https://a\\.cn/[a-z]{1,5} ){0,120}", limit in 1_usize..40,
        ) {
            let parts = texts(&text, limit);
            for part in &parts {
                prop_assert!(part.chars().count() <= limit, "{part:?} in {parts:?}");
            }
            let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(bare(&parts.concat()), bare(&text));
        }
    }
}
