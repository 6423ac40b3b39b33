//! The content of a message → its elements. Nothing a member sent gets lost without a trace: what
//! has no element of its own becomes text in brackets, so that word lists and people still see it.

use serenity::model::channel::{Attachment, Embed, Message};
use serenity::model::id::UserId;
use serenity::model::sticker::StickerItem;
use serenity::model::user::User;

use crate::adapter::discord::PLATFORM;
use crate::event::{Element, Quote};
use crate::id::Ref;

/// A message, taken apart.
#[derive(Debug, Default, PartialEq)]
pub struct Parsed {
    /// Its elements; mentions of our own account are no elements.
    pub elements: Vec<Element>,
    /// Our own account was mentioned.
    pub to_bot: bool,
}

/// What a message is made of.
pub struct Parts<'m> {
    /// Its text with Discord's marks.
    pub content: &'m str,
    /// Who is mentioned, as Discord says.
    pub mentions: &'m [User],
    /// Everybody is mentioned, as Discord says.
    pub everyone: bool,
    /// Files.
    pub attachments: &'m [Attachment],
    /// Cards.
    pub embeds: &'m [Embed],
    /// Stickers.
    pub stickers: &'m [StickerItem],
}

impl<'m> Parts<'m> {
    /// Those of a whole message.
    pub fn of(message: &'m Message) -> Self {
        Self {
            content: &message.content,
            mentions: &message.mentions,
            everyone: message.mention_everyone,
            attachments: &message.attachments,
            embeds: &message.embeds,
            stickers: &message.sticker_items,
        }
    }

    /// Takes it apart.
    pub fn parse(&self, own: Option<UserId>) -> Parsed {
        let mut parsed = Parsed::default();
        self.text(own, &mut parsed);
        for attachment in self.attachments {
            let url = attachment.url.clone();
            let is_image =
                attachment.content_type.as_ref().is_some_and(|it| it.starts_with("image/"));
            parsed.elements.push(match is_image {
                true => Element::Image { url },
                false => Element::File { url, name: attachment.filename.clone() },
            });
        }
        let stickers = self.stickers.iter().map(|it| Element::Emoji(format!("[{}]", it.name)));
        parsed.elements.extend(stickers);
        parsed.elements.extend(self.embeds.iter().filter_map(card));
        parsed
    }

    /// Only what Discord itself counts as a mention is one: the same marks may be mere text.
    fn text(&self, own: Option<UserId>, parsed: &mut Parsed) {
        let mut plain = String::new();
        let mut rest = self.content;
        while let Some(at) = rest.find(['<', '@']) {
            plain.push_str(&rest[..at]);
            rest = &rest[at..];
            let (length, found) = self.special(rest);
            match found {
                None => plain.push_str(&rest[..length]),
                Some(Element::Mention { id, .. }) if own.is_some_and(|own| id == person(own)) => {
                    parsed.to_bot = true;
                }
                Some(element) => {
                    flush(&mut plain, &mut parsed.elements);
                    parsed.elements.push(element);
                }
            }
            rest = &rest[length..];
        }
        plain.push_str(rest);
        flush(&mut plain, &mut parsed.elements);
    }

    /// What stands at the beginning of `rest`, which is `<` or `@`, and how long it is.
    fn special(&self, rest: &str) -> (usize, Option<Element>) {
        if rest.starts_with('@') {
            let word = ["@everyone", "@here"].into_iter().find(|word| rest.starts_with(word));
            return match word.filter(|_| self.everyone) {
                Some(word) => (word.len(), Some(Element::MentionAll)),
                None => (1, None),
            };
        }
        let Some(end) = rest.find('>') else { return (1, None) };
        let inner = &rest[1..end];
        let element = match inner.strip_prefix("@!").or_else(|| inner.strip_prefix('@')) {
            Some(number) => self.mention(number),
            None => emoji(inner),
        };
        element.map_or((1, None), |element| (end + 1, Some(element)))
    }

    fn mention(&self, number: &str) -> Option<Element> {
        let number: u64 = number.parse().ok()?;
        let user = self.mentions.iter().find(|user| user.id.get() == number)?;
        let name = user.global_name.as_ref().unwrap_or(&user.name).clone();
        Some(Element::Mention { id: person(user.id), name })
    }
}

/// The reference of somebody.
pub fn person(user: UserId) -> Ref {
    Ref::new(PLATFORM, user)
}

fn flush(plain: &mut String, elements: &mut Vec<Element>) {
    if !plain.is_empty() {
        elements.push(Element::Text(std::mem::take(plain)));
    }
}

/// `:name:123456789012345678` or `a:name:…`, an emoji of a server.
fn emoji(inner: &str) -> Option<Element> {
    let (name, number) = inner.trim_start_matches('a').strip_prefix(':')?.split_once(':')?;
    let is_id = (15..=20).contains(&number.len()) && number.bytes().all(|it| it.is_ascii_digit());
    is_id.then(|| Element::Emoji(format!(":{name}:")))
}

/// A card that somebody made; previews of links are Discord's own.
fn card(embed: &Embed) -> Option<Element> {
    if embed.kind.as_deref().is_some_and(|kind| kind != "rich") {
        return None;
    }
    let parts = [embed.title.as_deref(), embed.description.as_deref()];
    let text: Vec<&str> = parts.into_iter().flatten().collect();
    (!text.is_empty()).then(|| Element::Text(format!("[卡片:{}]", text.join(" "))))
}

/// What a message answers.
pub fn quote(message: &Message) -> Option<Quote> {
    let quoted = message.message_reference.as_ref()?.message_id?;
    let known = message.referenced_message.as_deref();
    Some(Quote {
        message: quoted.to_string(),
        author: known.map(|quoted| person(quoted.author.id)),
        text: known.map(|quoted| quoted.content.clone()).unwrap_or_default(),
    })
}
