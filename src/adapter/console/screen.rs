//! How the console looks: lines of a group chat with colours, and living cards that are rewritten
//! where they stand.
//!
//! Pure: it turns what is to be shown into the characters for the terminal and counts rows, so
//! that it knows whether a card can still be reached. Texts arrive free of control characters
//! ([`super::plain`]); every escape sequence is added here.

use std::collections::HashMap;

use unicode_width::UnicodeWidthStr;

use super::encode::Shown;
use super::plain::{plain, plain_line};
use super::room::{HOME, Place};

/// Rows that are left between a card and the top of the screen, for a prompt of several rows.
const MARGIN_ROWS: u64 = 3;

/// What was printed so far, as far as it matters.
#[derive(Debug)]
pub struct Screen {
    color: bool,
    columns: usize,
    rows: u64,
    /// Rows printed since the start: the row of the cursor, counted from the first line.
    printed: u64,
    cards: HashMap<u64, Standing>,
}

/// Where a card stands.
#[derive(Debug)]
struct Standing {
    row: u64,
    rows: u64,
    columns: usize,
}

/// Looks of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Bot,
    Dim,
    Warning,
    Plain,
}

impl Screen {
    /// An empty screen.
    pub fn new(color: bool) -> Self {
        Self { color, columns: 80, rows: 24, printed: 0, cards: HashMap::new() }
    }

    /// Notes the size of the terminal.
    pub fn resize(&mut self, columns: usize, rows: usize) {
        self.columns = columns.max(20);
        self.rows = rows as u64;
    }

    /// Notes that a line was typed and stands on the screen now.
    pub fn typed(&mut self, prompt: &str, line: &str) {
        self.printed += ((prompt.width() + line.width()) / self.columns + 1) as u64;
    }

    /// The characters that show it; `here` is the group in front.
    pub fn show(&mut self, shown: &Shown, here: &str) -> String {
        match shown {
            Shown::Message { number, place, text, buttons, only_for, answers } => {
                let label = label(place, here);
                let private = only_for.is_some() || matches!(place, Place::Direct(_));
                let look = if private { Look::Dim } else { Look::Bot };
                let mut text = text.clone();
                if let Some(answers) = answers {
                    text = format!("↪ {answers}\n{text}");
                }
                if let Some(name) = only_for {
                    text.push_str(&format!("（只有{name}能看到）"));
                }
                self.print(&body(&label, &text, buttons, *number), look)
            }
            Shown::Card { number, place, text, buttons, is_edit } => {
                let text = body(&label(place, here), text, buttons, *number);
                self.card(*number, &text, *is_edit)
            }
            Shown::Action(text) => self.print(text, Look::Dim),
        }
    }

    /// The characters that show a word of the console itself.
    pub fn note(&mut self, text: &str) -> String {
        self.print(&plain(text), Look::Plain)
    }

    /// The characters that show a word to the owner.
    pub fn warn(&mut self, text: &str) -> String {
        self.print(&marked("⚠", text), Look::Warning)
    }

    /// The same where nothing is wrong.
    pub fn tell(&mut self, text: &str) -> String {
        self.print(&marked("ℹ", text), Look::Dim)
    }

    fn print(&mut self, text: &str, look: Look) -> String {
        self.printed += self.height(text);
        let mut shown = self.paint(text, look);
        shown.push('\n');
        shown
    }

    fn card(&mut self, number: u64, text: &str, is_edit: bool) -> String {
        let height = self.height(text);
        if let Some((up, rows)) = self.reach(number, height).filter(|_| is_edit) {
            return self.rewrite(up, rows, text);
        }
        if is_edit {
            let mut lines = text.lines();
            let mut compact = format!("↻ {}", lines.next().unwrap_or_default());
            for line in lines {
                compact.push_str(" · ");
                compact.push_str(line.trim_start().trim_start_matches('▏'));
            }
            self.cards.remove(&number);
            return self.print(&self.cut(&compact), Look::Bot);
        }
        let standing = Standing { row: self.printed, rows: height, columns: self.columns };
        self.cards.insert(number, standing);
        self.print(text, Look::Bot)
    }

    /// How many rows above the cursor the card begins and how many it has, if it can be rewritten
    /// there. A card that has become shorter leaves the rest of its rows empty.
    fn reach(&self, number: u64, height: u64) -> Option<(u64, u64)> {
        let standing = self.cards.get(&number)?;
        let up = self.printed - standing.row;
        let fits = height <= standing.rows
            && standing.columns == self.columns
            && up + MARGIN_ROWS < self.rows;
        fits.then_some((up, standing.rows))
    }

    /// Goes up, writes the card anew and comes back. The printer wants a line break at the end,
    /// so the way back ends one row higher.
    fn rewrite(&self, up: u64, rows: u64, text: &str) -> String {
        let clear = "\x1b[2K\x1b[1B".repeat(rows as usize);
        let text = self.paint(text, Look::Bot).replace('\n', "\r\n");
        format!("\x1b7\x1b[{up}A\r{clear}\x1b[{rows}A{text}\x1b8\x1b[1A\n")
    }

    fn paint(&self, text: &str, look: Look) -> String {
        if !self.color {
            return text.to_owned();
        }
        let code = match look {
            Look::Plain => return text.to_owned(),
            Look::Bot => "36",
            Look::Dim => "2",
            Look::Warning => "2;33",
        };
        let lines = text.split('\n').map(|line| format!("\x1b[{code}m{line}\x1b[0m"));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn height(&self, text: &str) -> u64 {
        text.split('\n').map(|line| line.width().div_ceil(self.columns).max(1) as u64).sum()
    }

    /// As much of a line as fits in one row.
    fn cut(&self, line: &str) -> String {
        let mut kept = String::new();
        for c in line.chars() {
            if kept.width() + 3 > self.columns {
                kept.push('…');
                break;
            }
            kept.push(c);
        }
        kept
    }
}

fn label(place: &Place, here: &str) -> String {
    match place {
        Place::Group(name) if name == here => HOME.to_owned(),
        Place::Group(name) => format!("[{}] {HOME}", plain_line(name)),
        Place::Direct(name) => format!("{HOME} → {}", plain_line(name)),
    }
}

/// The lines of a message behind the bot's name, with its buttons and its number.
fn body(label: &str, text: &str, buttons: &[String], number: u64) -> String {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    if !buttons.is_empty() {
        let labels: Vec<String> = buttons.iter().map(|label| format!("[{label}]")).collect();
        lines.push(labels.join(" "));
    }
    if let Some(last) = lines.last_mut() {
        last.push_str(&format!("  #{number}"));
    }
    let indent = " ".repeat(label.width());
    let bar = |(index, line): (usize, &String)| {
        let before = if index == 0 { label } else { &indent };
        format!("{before} ▏{line}")
    };
    lines.iter().enumerate().map(bar).collect::<Vec<_>>().join("\n")
}

/// A word to the owner; its later lines stand under the first.
fn marked(mark: &str, text: &str) -> String {
    format!("{mark} {}", plain(text.trim_end()).replace('\n', "\n  "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn card(text: &str, is_edit: bool) -> Shown {
        let (place, text) = (Place::Group("群岛".into()), text.to_owned());
        Shown::Card { number: 7, place, text, buttons: vec!["抢".into()], is_edit }
    }

    #[test]
    fn looks_like_a_chat() {
        let mut screen = Screen::new(false);
        let message = |place: Place, only_for: Option<&str>| Shown::Message {
            number: 3,
            place,
            text: "第一行\n第二行".into(),
            buttons: vec!["抢".into(), "看".into()],
            only_for: only_for.map(str::to_owned),
            answers: None,
        };
        let shown = [
            screen.show(&message(Place::Group("群岛".into()), None), "群岛"),
            screen.show(&message(Place::Group("二群".into()), Some("小红")), "群岛"),
            screen.show(&message(Place::Direct("小红".into()), None), "群岛"),
            screen.warn("规则\n停了"),
        ];
        insta::assert_snapshot!(shown.concat(), @r#"
        群岛 ▏第一行
             ▏第二行
             ▏[抢] [看]  #3
        [二群] 群岛 ▏第一行
                    ▏第二行（只有小红能看到）
                    ▏[抢] [看]  #3
        群岛 → 小红 ▏第一行
                    ▏第二行
                    ▏[抢] [看]  #3
        ⚠ 规则
          停了
        "#);
    }

    #[test]
    fn a_card_within_reach_is_rewritten_in_place() {
        let mut screen = Screen::new(false);
        screen.show(&card("0/3", false), "群岛");
        screen.typed("小红> ", "抢");
        let edit = screen.show(&card("1/3", true), "群岛");
        insta::assert_debug_snapshot!(edit, @r#""\u{1b}7\u{1b}[3A\r\u{1b}[2K\u{1b}[1B\u{1b}[2K\u{1b}[1B\u{1b}[2A群岛 ▏1/3\r\n     ▏[抢]  #7\u{1b}8\u{1b}[1A\n""#);
        let again = screen.show(&card("2/3", true), "群岛");
        assert!(again.starts_with("\x1b7\x1b[3A"), "rewriting prints no row: {again:?}");
    }

    #[test]
    fn a_card_out_of_reach_is_printed_again() {
        let mut screen = Screen::new(false);
        screen.show(&card("0/3", false), "群岛");
        for _ in 0..30 {
            screen.note("滚动");
        }
        let edit = screen.show(&card("1/3", true), "群岛");
        insta::assert_snapshot!(edit, @"↻ 群岛 ▏1/3 · [抢]  #7");
    }

    proptest! {
        #[test]
        fn nobody_but_the_screen_gives_orders(text in any::<String>(), name in any::<String>()) {
            let mut screen = Screen::new(false);
            let encoded = super::super::encode::encode(&[
                crate::event::Element::Text(text.clone()),
                crate::event::Element::Code(text.clone()),
                crate::event::Element::Mention { id: crate::id::Ref::new("console", 1), name: name.clone() },
                crate::event::Element::Link { url: text.clone(), title: Some(name.clone()) },
                crate::event::Element::Button { label: name.clone(), value: text.clone() },
            ]);
            let shown = Shown::Message {
                number: 1,
                place: Place::Direct(name.clone()),
                text: encoded.text,
                buttons: encoded.buttons.into_iter().map(|(label, _)| label).collect(),
                only_for: None,
                answers: None,
            };
            let all = screen.show(&shown, "群岛") + &screen.note(&text) + &screen.warn(&name);
            prop_assert!(all.chars().all(|c| c == '\n' || !c.is_control()));
        }
    }
}
