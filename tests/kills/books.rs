//! What the file says, held against itself and against what the platform knows.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::Path;

use sqlx::{Row as _, SqliteConnection};

use crate::sim::{Message, Sim};
use crate::world::{number, peek, sqlite};

/// Sentences with a number that must be zero, whenever the bot is down. What must pair is put
/// together with opposite signs, so that each pair comes to nothing.
const CHECKS: &[(&str, &str)] = &[
    (
        "members whose score is not the number of their accepted messages",
        "SELECT count(*) FROM (SELECT 1 FROM
           (SELECT community, person, 1 n FROM event WHERE kind = 0 AND state = 0
            UNION ALL SELECT community, person, -messages FROM member_tally)
         GROUP BY community, person HAVING sum(n) <> 0)",
    ),
    (
        "messages that were accepted twice",
        "SELECT count(*) - count(DISTINCT account || ' ' || key) FROM event WHERE kind = 0",
    ),
    ("events that were given up", "SELECT count(*) FROM event WHERE state = 2"),
    (
        "echoes that were not paid once, or payments without an echo",
        "SELECT count(*) FROM (SELECT 1 FROM
           (SELECT id, 1 n FROM event WHERE kind = 0 AND state = 0 AND text LIKE 'echo %'
              AND outcome NOT LIKE '%too old%'
            UNION ALL SELECT event, -1 FROM ledger_transfer)
         GROUP BY id HAVING sum(n) <> 0)",
    ),
    (
        "echoes without one answer in the outbox, or answers without an echo",
        "SELECT count(*) FROM (SELECT 1 FROM
           (SELECT id, 1 n FROM event WHERE kind = 0 AND state = 0 AND text LIKE 'echo %'
              AND outcome NOT LIKE '%too old%'
            UNION ALL SELECT event, -1 FROM delivery WHERE call = 'send')
         GROUP BY id HAVING sum(n) <> 0)",
    ),
];

/// What is wrong with the file, in sentences.
pub async fn look(file: &Path) -> Vec<String> {
    let store = sqlite(file).await;
    let verified = store.verify().await.expect("a sound file");
    store.close().await;
    drop(store);
    let mut broken = verified.broken;
    let mut db = peek(file).await;
    for (what, sql) in CHECKS {
        let count = number(&mut db, sql).await;
        if count != 0 {
            broken.push(format!("{what}: {count}"));
        }
    }
    let paid = number(&mut db, "SELECT count(*) FROM ledger_transfer").await;
    if paid != verified.transfers {
        broken.push(format!("{} transfers were verified, {paid} are there", verified.transfers));
    }
    broken
}

/// Waits until nothing is on its way any more.
pub async fn until_settled(file: &Path) {
    let mut db = peek(file).await;
    let open = "SELECT (SELECT count(*) FROM delivery WHERE state IN ('queued', 'sending'))
        + (SELECT count(*) FROM event WHERE state = 1)";
    while number(&mut db, open).await > 0 {
        tokio::task::yield_now().await;
    }
}

/// A message that has a row.
struct Accepted {
    event: i64,
    text: String,
    /// What its turn came to, as the record has it.
    outcome: String,
    /// It came out of the history, and only counts.
    is_late: bool,
}

/// What both sides together come to.
#[derive(Debug, Default)]
pub struct Balance {
    pub broken: Vec<String>,
    said: usize,
    accepted: usize,
    late: usize,
    echoes: usize,
    recalled: usize,
    gaps: i64,
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { said, accepted, late, echoes, recalled, gaps, .. } = self;
        write!(
            f,
            "{said} messages said, {accepted} accepted, {echoes} echoes answered once, {late} \
             echoes too late, {recalled} messages recalled, {gaps} gaps"
        )
    }
}

/// Compares the file of a bot that has ended with the platform.
pub async fn balance(file: &Path, sim: &Sim) -> Balance {
    let mut db = peek(file).await;
    let mut found = Balance::default();
    let (accepted, doubled) = accepted(&mut db).await;
    found.broken.extend(doubled.map(|id| format!("message {id} was accepted twice")));
    found.gaps = number(&mut db, "SELECT count(*) FROM event WHERE kind = 17").await;
    let sent = outcomes(&mut db).await;
    let deletes = deletes(&mut db).await;
    let messages = sim.world().messages.clone();
    let self_id = sim.self_id();
    let (answers, asked): (Vec<&Message>, Vec<&Message>) =
        messages.iter().partition(|message| message.user == self_id);
    let mut answers_to: HashMap<i64, Vec<&Message>> = HashMap::new();
    for answer in &answers {
        let to = answer.reply().unwrap_or_default();
        answers_to.entry(to).or_default().push(answer);
    }
    found.said = asked.len();
    found.accepted = accepted.len();
    for message in &asked {
        let accepted = accepted.get(&message.id);
        let answers = answers_to.remove(&message.id).unwrap_or_default();
        found.recalls(message, accepted, &deletes);
        found.answers(message, accepted, &answers, &sent);
    }
    found.broken.extend(answers_to.keys().map(|to| format!("an answer to {to}, which is nothing")));
    found.order(&answers, &asked);
    found
}

impl Balance {
    /// Accepted hits are gone, everything else stands.
    fn recalls(
        &mut self,
        message: &Message,
        accepted: Option<&Accepted>,
        deletes: &HashMap<i64, String>,
    ) {
        let text = message.text();
        let is_hit = crate::WORDS.iter().any(|word| text.contains(word));
        self.recalled += usize::from(message.deleted);
        if message.deleted != (is_hit && accepted.is_some()) {
            let (id, deleted, is_accepted) = (message.id, message.deleted, accepted.is_some());
            let outbox = accepted.and_then(|accepted| deletes.get(&accepted.event));
            let outcome = accepted.map(|accepted| &accepted.outcome);
            self.broken.push(format!(
                "message {id} `{text}`: recalled {deleted}, hit {is_hit}, accepted {is_accepted}, \
                 {outcome:?}, and the outbox says {outbox:?}"
            ));
        }
    }

    /// An accepted echo has one answer, and the outbox knows; nothing else has any.
    fn answers(
        &mut self,
        message: &Message,
        accepted: Option<&Accepted>,
        answers: &[&Message],
        sent: &HashMap<i64, Vec<String>>,
    ) {
        let text = message.text();
        let token = text.strip_prefix("echo ");
        let outcomes = accepted.and_then(|accepted| sent.get(&accepted.event));
        let outcomes = outcomes.map_or(&[][..], Vec::as_slice);
        let is_right = match (token, accepted) {
            (Some(token), Some(accepted)) if !accepted.is_late => {
                self.echoes += 1;
                let texts: Vec<String> = answers.iter().map(|answer| answer.text()).collect();
                texts == [token] && outcomes == ["sent"] && accepted.text == text
            }
            (_, accepted) => {
                self.late += usize::from(accepted.is_some_and(|accepted| accepted.is_late));
                answers.is_empty() && outcomes.is_empty()
            }
        };
        if !is_right {
            let late = accepted.map(|accepted| accepted.is_late);
            let times: Vec<i64> = answers.iter().map(|answer| answer.time - message.time).collect();
            self.broken.push(format!(
                "`{text}` of {} (accepted and late: {late:?}) was answered after {times:?} s, and \
                 the outbox says {outcomes:?}",
                message.time
            ));
        }
    }

    /// Within a group answers come in the order of what they answer.
    fn order(&mut self, answers: &[&Message], asked: &[&Message]) {
        let places: HashMap<i64, usize> = asked.iter().map(|it| it.id).zip(0..).collect();
        let mut last: BTreeMap<i64, usize> = BTreeMap::new();
        for answer in answers {
            let (Some(group), Some(to)) = (answer.group, answer.reply()) else { continue };
            let Some(place) = places.get(&to) else { continue };
            if last.insert(group, *place).is_some_and(|before| before > *place) {
                self.broken.push(format!("`{}` came too late in {group}", answer.text()));
            }
        }
    }
}

/// Accepted messages by their number on the platform, and those that are there twice.
async fn accepted(
    db: &mut SqliteConnection,
) -> (HashMap<i64, Accepted>, impl Iterator<Item = i64> + use<>) {
    let sql = "SELECT id, key, text, coalesce(outcome, '') FROM event
        WHERE kind = 0 AND state = 0";
    let mut accepted = HashMap::new();
    let mut doubled = HashSet::new();
    for row in sqlx::query(sql).fetch_all(db).await.expect("rows") {
        let key: String = row.get(1);
        let number = key.split(':').nth(1).and_then(|number| number.parse().ok());
        let number: i64 = number.expect("TIME:NUMBER:message:…");
        let outcome: String = row.get(3);
        let is_late = outcome.contains("too old");
        let new = Accepted { event: row.get(0), text: row.get(2), outcome, is_late };
        if accepted.insert(number, new).is_some() {
            doubled.insert(number);
        }
    }
    (accepted, doubled.into_iter())
}

/// How answers ended, by their event.
async fn outcomes(db: &mut SqliteConnection) -> HashMap<i64, Vec<String>> {
    let sql = "SELECT event, state FROM delivery WHERE call = 'send'";
    let mut outcomes: HashMap<i64, Vec<String>> = HashMap::new();
    for row in sqlx::query(sql).fetch_all(db).await.expect("rows") {
        outcomes.entry(row.get(0)).or_default().push(row.get(1));
    }
    outcomes
}

/// How deletions stand, by their event, for whoever reads a failure.
async fn deletes(db: &mut SqliteConnection) -> HashMap<i64, String> {
    let sql = "SELECT event, state || ', attempts ' || attempts || ': ' || coalesce(reason, '')
        FROM delivery WHERE call = 'delete'";
    let rows = sqlx::query(sql).fetch_all(db).await.expect("rows");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}
