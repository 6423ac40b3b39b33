//! Bytes to text, by what the feed says of itself and by what it is.
//!
//! Servers and files contradict each other often, most of all where a page in GBK is served as
//! UTF-8. So every claim is tried, and the first that the bytes bear out is believed.

use encoding_rs::{Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE};

/// Bytes in which a declaration is looked for.
const DECLARATION_MAX: usize = 512;

/// The text of a feed, without the declaration of an encoding that it no longer has.
pub(super) fn decode(bytes: &[u8], charset: Option<&str>) -> String {
    let claims = claims(bytes, charset);
    let sound = claims.iter().find_map(|encoding| {
        let (text, had_errors) = encoding.decode_with_bom_removal(bytes);
        (!had_errors).then(|| text.into_owned())
    });
    let text = sound.unwrap_or_else(|| {
        let encoding = claims.first().copied().unwrap_or(UTF_8);
        encoding.decode_with_bom_removal(bytes).0.into_owned()
    });
    without_declaration(text)
}

/// Every encoding that it may have, the likeliest first.
fn claims(bytes: &[u8], charset: Option<&str>) -> Vec<&'static Encoding> {
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return vec![encoding];
    }
    match bytes.get(..4) {
        Some([b'<' | b'{', 0, _, 0]) => return vec![UTF_16LE],
        Some([0, b'<' | b'{', 0, _]) => return vec![UTF_16BE],
        _ => {}
    }
    let label = |label: &str| Encoding::for_label(label.trim().as_bytes());
    let declared = declaration(bytes).and_then(|text| label(&text));
    // UTF-16 without a mark was found above; what only says so is something else.
    let told = [charset.and_then(label), declared].into_iter().flatten();
    let told = told.filter(|encoding| ![UTF_16LE, UTF_16BE].contains(encoding));
    let mut claims: Vec<_> = told.collect();
    // UTF-8 is hardly ever something else by chance; the others take any bytes.
    claims.sort_by_key(|encoding| *encoding != UTF_8);
    claims.extend([UTF_8, GB18030]);
    if claims[0] != UTF_8 && is_utf_8_beyond_ascii(bytes) {
        claims.insert(0, UTF_8);
    }
    claims
}

fn is_utf_8_beyond_ascii(bytes: &[u8]) -> bool {
    !bytes.is_ascii() && std::str::from_utf8(bytes).is_ok()
}

/// `encoding="…"` of `<?xml …?>`.
fn declaration(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(DECLARATION_MAX)]);
    let head = head.trim_start().strip_prefix("<?xml")?;
    let head = &head[..head.find("?>")?];
    let rest = head[head.find("encoding")? + "encoding".len()..].trim_start();
    let rest = rest.strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|quote| ['"', '\''].contains(quote))?;
    rest[1..].split(quote).next().map(str::to_owned)
}

/// The parser would read the text once more by what the declaration says.
fn without_declaration(text: String) -> String {
    let trimmed = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let rest = match trimmed.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")) {
        Some((_, rest)) => rest,
        None => trimmed,
    };
    if rest.len() == text.len() { text } else { rest.to_owned() }
}

#[cfg(test)]
mod tests {
    use encoding_rs::{BIG5, GBK};

    use super::*;

    const HEAD: &str = "<?xml version=\"1.0\" encoding=\"ENC\"?>";

    fn check(encoding: &'static Encoding, declared: &str, charset: Option<&str>) {
        let is_old = encoding == BIG5;
        let text = if is_old { "<rss>群島的早報</rss>" } else { "<rss>群岛的早报</rss>" };
        let whole = format!("{}{text}", HEAD.replace("ENC", declared));
        let (bytes, _, _) = encoding.encode(&whole);
        assert_eq!(decode(&bytes, charset), text, "{declared} {charset:?}");
    }

    #[test]
    fn claims_are_believed_where_the_bytes_bear_them_out() {
        check(UTF_8, "utf-8", None);
        check(GBK, "gb2312", None);
        check(GBK, "GBK", Some("gbk"));
        check(GBK, "GBK", Some("utf-8"));
        check(UTF_8, "GBK", Some("gbk"));
        check(UTF_8, "gb2312", Some("utf-8"));
        check(GB18030, "gb18030", None);
        check(GBK, "nonsense", None);
        check(BIG5, "big5", None);
        check(UTF_8, "utf-16", None);
    }

    #[test]
    fn utf_16_is_seen_with_and_without_its_mark() {
        let text = "<rss>早报</rss>";
        for (mark, big) in [(true, true), (true, false), (false, true), (false, false)] {
            let marked = if mark { format!("\u{feff}{text}") } else { text.to_owned() };
            let units = marked.encode_utf16();
            let bytes: Vec<u8> =
                units.flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect();
            assert_eq!(decode(&bytes, None), text, "{mark} {big}");
        }
    }

    #[test]
    fn nothing_is_too_odd_to_read() {
        for bytes in [&b""[..], b"<?xml", b"<?xml encoding", b"<?xml encoding=?>", b"\xff\xfe\xff"]
        {
            decode(bytes, Some("x"));
        }
    }
}
