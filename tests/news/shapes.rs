//! Feeds in the shapes in which they occur, and what must come out of each.

use std::fmt::Write as _;
use std::path::Path;

use qundao::news::Payload;
use qundao::news::parse::parse;

/// The character set that a server would send along, in the name of a file: `…@gbk.xml`.
fn charset(name: &str) -> Option<String> {
    let (_, rest) = name.rsplit_once('@')?;
    rest.rsplit_once('.').map(|(charset, _)| charset.to_owned())
}

#[test]
fn every_shape_gives_what_it_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/feeds");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 50, "{}", names.len());
    let mut table = String::new();
    for name in &names {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let payload = Payload { bytes, charset: charset(name), ..Payload::default() };
        writeln!(table, "## {name}").unwrap();
        match parse(&payload, "https://feeds.example/list/feed.xml") {
            Err(error) => writeln!(table, "✗ {error}").unwrap(),
            Ok(feed) => {
                writeln!(table, "{}", feed.name).unwrap();
                for entry in feed.entries {
                    let at = entry.published_at.and_then(chrono::DateTime::from_timestamp_millis);
                    let at = at.map_or("-".to_owned(), |at| at.format("%m-%d %H:%M").to_string());
                    writeln!(table, "{at:11} | {} | {}", entry.title, entry.url).unwrap();
                }
            }
        }
    }
    insta::assert_snapshot!("feeds", table);
}
