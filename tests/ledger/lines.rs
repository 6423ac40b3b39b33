//! 积分明细: the lines of a member sum to what she can spend, whatever happened.

use qundao::report::Line;

use crate::books::Chat;
use crate::world::{Setup, memory, script, shipped};

/// Everything that moves points, and a page of lines as numbers.
const MOVER: &str = "//! 什么都动\n\
    command(\"给 <amount:int>\", |c| points::grant(c.member, c.amount, \"给\", #{ expires: \"2d\" }));\n\
    command(\"花 <amount:int>\", |c| points::spend(c.member, c.amount, \"花\"));\n\
    command(\"送 <who:user> <amount:int>\", |c| points::transfer(c.member, c.who, c.amount, \"送\"));\n\
    command(\"押 <amount:int>\", |c| { let id = points::hold(c.member, c.amount, \"押\"); c.reply(`${id}`); });\n\
    command(\"还 <id:int>\", |c| points::release(c.id));\n\
    command(\"扣 <id:int>\", |c| points::settle(c.id));\n\
    command(\"行 [page:int]\", |c| {\n    \
        let sum = 0;\n    \
        let entries = points::log(c.member, c.page);\n    \
        for entry in entries { sum += entry.delta; if entry.reason == \"\" { throw \"no reason\"; } }\n    \
        c.reply(`${entries.len()} ${sum} ${points::balance(c.member)}`);\n\
    });\n";

/// The sum of all pages, and the balance.
async fn sums(chat: &mut Chat, who: &str) -> (i64, i64) {
    let (mut sum, mut page) = (0, 1);
    loop {
        let lines = chat.say("g", who, &format!("行 {page}")).await;
        assert!(!lines.iter().any(|line| matches!(line, Line::Failed { .. })), "{lines:?}");
        let text = Chat::text(&lines);
        let mut numbers = text.split(' ').map(|word| word.parse::<i64>().unwrap());
        let (count, part, balance) =
            (numbers.next().unwrap(), numbers.next().unwrap(), numbers.next().unwrap());
        sum += part;
        page += 1;
        if count == 0 {
            return (sum, balance);
        }
    }
}

#[tokio::test]
async fn the_lines_of_a_member_sum_to_her_balance() {
    let scripts = vec![script("mover", MOVER), shipped("red_packet"), shipped("points")];
    let mut chat = Chat::open(memory().await, Setup::new(scripts)).await;
    chat.seed("g", 100).await;
    // Twelve simple moves in many orders; the numbers of holds are what the bot says.
    let (mut holds, mut held, mut dice) = (Vec::new(), 0, 7_u64);
    for round in 0..60 {
        dice = qundao::clock::mix_seed(dice, round);
        let who = ["a", "b", "c"][(dice >> 32) as usize % 3];
        let amount = dice % 40 + 1;
        let text = match (dice >> 8) % 10 {
            0 | 1 => format!("给 {amount}"),
            2 => format!("花 {amount}"),
            3 => format!("送 b {amount}"),
            4 | 9 => format!("押 {amount}"),
            5 if !holds.is_empty() => format!("还 {}", holds.remove(0)),
            6 if !holds.is_empty() => format!("扣 {}", holds.remove(0)),
            7 => format!("平均红包 {} 2", amount + 2),
            8 => "抢".to_owned(),
            _ => "退红包".to_owned(),
        };
        let lines = chat.say("g", who, &text).await;
        if text.starts_with('押') {
            holds.extend(Chat::text(&lines).parse::<i64>());
            held += 1;
        }
        if round % 7 == 0 {
            chat.pass(9 * 3_600_000).await;
        }
        if round % 10 == 9 {
            for who in ["a", "b", "c"] {
                let (sum, balance) = sums(&mut chat, who).await;
                assert_eq!(sum, balance, "{who} after round {round} ({text})");
            }
        }
    }
    assert!(held > 3, "points are set aside now and then");
    // Days have gone by, and the head of the audit log is told on each.
    let told = chat.told();
    assert!(told.iter().all(|text| text.contains("audit verify --head")), "{told:?}");
    let found = chat.bot.store().verify().await.unwrap();
    assert!(found.broken.is_empty() && found.transfers > 40, "{found:?}");
    chat.bot.stop().await.unwrap();
}
