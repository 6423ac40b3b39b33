//! `qundao ledger`: does the book balance, may points move again, and what is in a red packet?

use anyhow::Context as _;
use serde::Serialize;

use super::{Args, End, complain, connect, runtime, say};
use crate::community::packet_from_rows;
use crate::config::Config;
use crate::id::CommunityId;
use crate::ledger::PacketState;
use crate::store::{FreezeRow, PacketRows, Verification};

/// Reads the configuration and does something with the store.
fn with_config<T>(
    args: &Args,
    act: impl AsyncFnOnce(&Config) -> anyhow::Result<T>,
) -> Result<T, End> {
    let config = connect::load_config(&args.config, args.color.is_on()).map_err(|problems| {
        complain(&problems);
        End::Problems
    })?;
    runtime().and_then(|runtime| runtime.block_on(act(&config))).map_err(|error| {
        complain(&format!("{error:#}"));
        End::NotStarted
    })
}

/// Verifies and shows what was found.
pub fn verify(args: &Args) -> End {
    let look = async |config: &Config| {
        let found = connect::verify_ledger(config).await?;
        let frozen = match connect::look_at_store(config).await? {
            Some(store) => store.frozen().await.context(connect::OLDER)?,
            None => Vec::new(),
        };
        Ok((found, frozen))
    };
    let (found, frozen) = match with_config(args, look) {
        Ok(found) => found,
        Err(end) => return end,
    };
    if args.json {
        let mut json = serde_json::json!(found);
        json["frozen"] = serde_json::json!(frozen);
        say(&format!("{json}\n"));
    } else {
        say(&verified(&found, &frozen));
    }
    if found.broken.is_empty() && frozen.is_empty() { End::Well } else { End::Problems }
}

fn verified(found: &Verification, frozen: &[FreezeRow]) -> String {
    let problems: String = found.broken.iter().map(|what| format!("✗ {what}\n")).collect();
    let frozen: String = frozen
        .iter()
        .map(|row| format!("✗ community {} is frozen: {}\n", row.community, row.reason))
        .collect();
    let mark = if found.broken.is_empty() { "✓" } else { "✗" };
    format!(
        "{problems}{frozen}{mark} {} communities, {} accounts, {} transfers, {} packets, {} scores, \
         {} problems\n",
        found.communities,
        found.accounts,
        found.transfers,
        found.packets,
        found.scores,
        found.broken.len()
    )
}

/// What came of a thaw.
#[derive(Serialize)]
struct Thawed {
    community: String,
    was_frozen: bool,
    broken: Vec<String>,
}

/// Lets points move again, if everything holds.
pub fn thaw(args: &Args, community: &str) -> End {
    let thawed = match with_config(args, async |config: &Config| release(config, community).await) {
        Ok(thawed) => thawed,
        Err(end) => return end,
    };
    if args.json {
        say(&format!("{}\n", serde_json::json!(thawed)));
    } else if !thawed.broken.is_empty() {
        let broken: String = thawed.broken.iter().map(|what| format!("✗ {what}\n")).collect();
        say(&format!("{broken}✗ {community} stays frozen until this holds\n"));
    } else if thawed.was_frozen {
        say(&format!("✓ {community} holds; points move again with the next start\n"));
    } else {
        say(&format!("✓ {community} holds, and was not frozen\n"));
    }
    if thawed.broken.is_empty() { End::Well } else { End::Problems }
}

async fn release(config: &Config, community: &str) -> anyhow::Result<Thawed> {
    let store = connect::open_store(config).await?;
    let known = store.start().await?.communities;
    let is_it = |key: &str| key == community || key.strip_prefix('=') == Some(community);
    let found = known.iter().find(|row| is_it(&row.key));
    let keys = || known.iter().map(|row| row.key.trim_start_matches('=')).collect::<Vec<_>>();
    let id = found
        .with_context(|| {
            format!("there is no community `{community}`; known: {}", keys().join(", "))
        })?
        .id;
    let broken = store.audit(id).await?.broken;
    let was_frozen = if broken.is_empty() {
        store.thaw(id).await?
    } else {
        store.frozen().await?.iter().any(|row| row.community == id)
    };
    store.close().await;
    Ok(Thawed { community: community.to_owned(), was_frozen, broken })
}

/// A packet with all that an outside check needs. What is secret while it is open is left out.
#[derive(Debug, Serialize)]
struct Shown {
    id: i64,
    state: String,
    mode: String,
    total: i64,
    count: i64,
    commitment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<String>,
    /// In the order in which they were cut, which is the order in which they are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    amounts: Option<Vec<i64>>,
    /// Person and Unix ms of each that was taken, in the same order.
    taken: Vec<(i64, i64)>,
    /// Whether seed, amounts and commitment agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_right: Option<bool>,
}

/// Prints a packet.
pub fn packet(args: &Args, id: i64) -> End {
    let found = match with_config(args, async |config: &Config| find(config, id).await) {
        Ok(Some(rows)) => shown(rows),
        Ok(None) => {
            complain(&format!("there is no red packet {id}"));
            return End::Problems;
        }
        Err(end) => return end,
    };
    if args.json {
        say(&format!("{}\n", serde_json::json!(found)));
    } else {
        say(&lines(&found));
    }
    if found.is_right == Some(false) { End::Problems } else { End::Well }
}

async fn find(config: &Config, id: i64) -> anyhow::Result<Option<PacketRows>> {
    let Some(store) = connect::look_at_store(config).await? else { return Ok(None) };
    let communities: Vec<CommunityId> =
        store.start().await?.communities.iter().map(|row| row.id).collect();
    for community in communities {
        if let Some(rows) = store.packet(community, id).await.context(connect::OLDER)? {
            return Ok(Some(rows));
        }
    }
    Ok(None)
}

fn shown(rows: PacketRows) -> Shown {
    let row = rows.packet.clone();
    let packet = packet_from_rows(rows);
    let has_ended = packet.state != PacketState::Open;
    let taken = packet.shares.iter().filter_map(|share| share.taken);
    Shown {
        id: row.id,
        state: row.state,
        mode: row.mode,
        total: row.total,
        count: row.count,
        commitment: row.commitment,
        seed: has_ended.then_some(row.seed),
        amounts: has_ended.then(|| packet.shares.iter().map(|share| share.amount).collect()),
        taken: taken.map(|(person, at)| (person.0, at)).collect(),
        is_right: has_ended.then(|| packet.is_as_committed()),
    }
}

fn lines(found: &Shown) -> String {
    let Shown { id, state, mode, total, count, commitment, .. } = found;
    let mut text = format!("red packet {id}: {mode}, {total} points in {count} shares, {state}\n");
    text.push_str(&format!("commitment {commitment}\n"));
    match (&found.seed, &found.amounts) {
        (Some(seed), Some(amounts)) => {
            text.push_str(&format!("seed {seed}\namounts {amounts:?}\n"));
            let (mark, word) = if found.is_right == Some(true) {
                ("✓", "agree")
            } else {
                ("✗", "do not agree")
            };
            text.push_str(&format!("{mark} seed, amounts and commitment {word}\n"));
        }
        _ => text.push_str("seed and amounts are secret until it has ended\n"),
    }
    for (n, (person, at)) in found.taken.iter().enumerate() {
        text.push_str(&format!("share {n} was taken by person {person} at {at}\n"));
    }
    text
}
