//! The simulated interface: strict about what it is told, with Discord's own errors.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};

use super::world::{APPLICATION, BOT, CHANNEL, GUILD, SECOND_CHANNEL, Said, World};
use super::{Forced, Inner, TOKEN};

type Answer = (u16, Value);

/// Serves one connection.
pub async fn serve(
    inner: Arc<Inner>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) {
    let service = service_fn(move |request| {
        let inner = inner.clone();
        async move { answer(&inner, request).await }
    });
    // A forced break ends it with an error.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    inner: &Arc<Inner>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let bytes = body.collect().await.map(|it| it.to_bytes()).unwrap_or_default();
    let path = head.uri.path().strip_prefix("/api/v10").unwrap_or("/wrong").to_owned();
    let query = head.uri.query().unwrap_or_default().to_owned();
    let text = |name: &str| head.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or("");
    let is_webhook = path.starts_with("/webhooks/") || path.starts_with("/interactions/");
    let body: Value = match bytes.is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(&bytes).unwrap_or(json!("not JSON")),
    };
    let forced = inner.forced(head.method.as_str(), &path);
    let mut headers = vec![("content-type", "application/json".to_owned())];
    let (status, reply) = if let Some(forced) = forced {
        match forced {
            Forced::Break => {
                inner.note(head.method.as_str(), &path, 0, body);
                return Err(std::io::Error::other("broken on purpose"));
            }
            Forced::DoneThenBreak => {
                act(inner, head.method.as_str(), &path, &query, &body);
                inner.note(head.method.as_str(), &path, 0, body);
                return Err(std::io::Error::other("broken on purpose"));
            }
            Forced::TooMany { retry_after_s, global } => {
                headers.push(("retry-after", (retry_after_s.ceil() as u64).to_string()));
                headers.push(("x-ratelimit-scope", if global { "global" } else { "user" }.into()));
                if global {
                    headers.push(("x-ratelimit-global", "true".to_owned()));
                }
                let message = "You are being rate limited.";
                (429, json!({ "message": message, "retry_after": retry_after_s, "global": global }))
            }
            Forced::Status(status, code) => (status, json!({ "code": code, "message": "forced" })),
        }
    } else if !is_webhook && text("authorization") != format!("Bot {TOKEN}") {
        (401, json!({ "code": 0, "message": "401: Unauthorized" }))
    } else if !text("user-agent").starts_with("DiscordBot (") {
        (400, json!({ "code": 40333, "message": "a user agent of Discord's form is missing" }))
    } else if !body.is_null() && text("content-type") != "application/json" {
        (400, json!({ "code": 50109, "message": "The request body contains invalid JSON." }))
    } else if let Some(wait) = limited(inner, head.method.as_str(), &path, &mut headers) {
        headers.push(("retry-after", wait.as_secs_f64().ceil().to_string()));
        let retry_after = wait.as_secs_f64();
        (429, json!({ "message": "limited", "retry_after": retry_after, "global": false }))
    } else {
        act(inner, head.method.as_str(), &path, &query, &body)
    };
    inner.note(head.method.as_str(), &path, status, body);
    let bytes = if status == 204 { Bytes::new() } else { Bytes::from(reply.to_string()) };
    let mut response = Response::new(Full::new(bytes));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    Ok::<_, std::io::Error>(response)
}

/// Five messages to a channel in five seconds, where that is switched on.
fn limited(
    inner: &Inner,
    method: &str,
    path: &str,
    headers: &mut Vec<(&'static str, String)>,
) -> Option<Duration> {
    if !inner.options.limits || method != "POST" || !path.ends_with("/messages") {
        return None;
    }
    let period = inner.options.limit_period;
    let mut buckets = inner.buckets.lock().unwrap();
    let (count, since) = buckets.entry(path.to_owned()).or_insert((0, Instant::now()));
    if since.elapsed() >= period {
        (*count, *since) = (0, Instant::now());
    }
    let left = period.saturating_sub(since.elapsed());
    *count += 1;
    headers.push(("x-ratelimit-limit", "5".to_owned()));
    headers.push(("x-ratelimit-remaining", 5_u32.saturating_sub(*count).to_string()));
    headers.push(("x-ratelimit-reset-after", format!("{:.3}", left.as_secs_f64())));
    headers.push(("x-ratelimit-bucket", "abcd1234".to_owned()));
    (*count > 5).then_some(left)
}

fn refuse(status: u16, code: i64, message: &str) -> Answer {
    (status, json!({ "code": code, "message": message }))
}

fn act(inner: &Inner, method: &str, path: &str, query: &str, body: &Value) -> Answer {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (method, parts.as_slice()) {
        ("GET", ["gateway"]) => (200, json!({ "url": inner.gateway_url() })),
        ("GET", ["gateway", "bot"]) => (
            200,
            json!({
                "url": inner.gateway_url(), "shards": 1,
                "session_start_limit": { "total": 1000, "remaining": inner.options.sessions_left,
                    "reset_after": 3_600_000, "max_concurrency": 1 },
            }),
        ),
        ("GET", ["applications", application, "commands"])
            if *application == APPLICATION.to_string() =>
        {
            (200, inner.world_mut(|world| world.commands.clone()))
        }
        ("PUT", ["applications", application, "commands"])
            if *application == APPLICATION.to_string() =>
        {
            put_commands(inner, body)
        }
        ("POST", ["users", "@me", "channels"]) => open_direct(inner, body),
        ("POST", ["interactions", id, token, "callback"]) => respond(inner, id, token, body),
        (_, ["webhooks", application, token, rest @ ..])
            if *application == APPLICATION.to_string() =>
        {
            webhook(inner, method, token, rest, body)
        }
        (_, ["channels", channel, rest @ ..]) => {
            let Ok(channel) = channel.parse() else { return refuse(404, 10003, "Unknown Channel") };
            in_channel(inner, method, channel, rest, query, body)
        }
        (_, ["guilds", guild, rest @ ..]) if *guild == GUILD.to_string() => {
            in_guild(inner, method, rest, body)
        }
        _ => refuse(404, 0, "404: Not Found"),
    }
}

fn put_commands(inner: &Inner, body: &Value) -> Answer {
    let Some(commands) = body.as_array() else { return refuse(400, 50035, "no array") };
    for command in commands {
        let name = command["name"].as_str().unwrap_or_default();
        let is_name = |name: &str| {
            (1..=32).contains(&name.chars().count())
                && name
                    .chars()
                    .all(|c| c.is_alphanumeric() && !c.is_uppercase() || "-_".contains(c))
        };
        let about = command["description"].as_str().unwrap_or_default().chars().count();
        if !is_name(name) || !(1..=100).contains(&about) {
            return refuse(400, 50035, "Invalid Form Body: name or description");
        }
        let mut may_be_required = true;
        for option in command["options"].as_array().into_iter().flatten() {
            let about = option["description"].as_str().unwrap_or_default().chars().count();
            if !is_name(option["name"].as_str().unwrap_or_default()) || !(1..=100).contains(&about)
            {
                return refuse(400, 50035, "Invalid Form Body: option");
            }
            if option["required"] == true && !may_be_required {
                return refuse(400, 50035, "required options must come first");
            }
            may_be_required = option["required"] == true;
        }
    }
    inner.world_mut(|world| world.commands = body.clone());
    (200, body.clone())
}

fn open_direct(inner: &Inner, body: &Value) -> Answer {
    let Some(user) = body["recipient_id"].as_str().and_then(|it| it.parse::<u64>().ok()) else {
        return refuse(400, 50033, "Invalid Recipient(s)");
    };
    let channel = inner.world_mut(|world| *world.direct.entry(user).or_insert(user + 500_000));
    (200, json!({ "id": channel.to_string(), "type": 1 }))
}

/// What is wrong with a message, if anything.
fn flaw(body: &Value) -> Option<&'static str> {
    let content = body["content"].as_str().unwrap_or_default();
    let list = |name: &str| body[name].as_array().cloned().unwrap_or_default();
    let mentions = &body["allowed_mentions"];
    if !mentions["parse"].is_array() || mentions["replied_user"] != false {
        return Some("allowed_mentions must say who is pinged");
    }
    if body["nonce"].as_str().is_some_and(|nonce| nonce.len() > 25) {
        return Some("nonce is too long");
    }
    if content.chars().count() > 2000 {
        return Some("content: Must be 2000 or fewer in length.");
    }
    if content.trim().is_empty() && list("embeds").is_empty() && list("components").is_empty() {
        return Some("Cannot send an empty message");
    }
    let rows = list("components");
    let buttons: Vec<Value> = rows
        .iter()
        .flat_map(|row| row["components"].as_array().cloned().unwrap_or_default())
        .collect();
    let mut ids: Vec<&str> = buttons.iter().filter_map(|it| it["custom_id"].as_str()).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    let fits = |it: &Value, name: &str, most: usize| {
        it[name].as_str().is_some_and(|text| (1..=most).contains(&text.chars().count()))
    };
    if rows.len() > 5 || ids.len() != count || count != buttons.len() {
        return Some("components are wrong");
    }
    if !buttons.iter().all(|it| fits(it, "custom_id", 100) && fits(it, "label", 80)) {
        return Some("a button is wrong");
    }
    None
}

fn in_channel(
    inner: &Inner,
    method: &str,
    channel: u64,
    rest: &[&str],
    query: &str,
    body: &Value,
) -> Answer {
    let now = inner.now();
    inner.world_mut(|world| {
        let is_direct = world.direct.values().any(|it| *it == channel);
        if ![CHANNEL, SECOND_CHANNEL].contains(&channel) && !is_direct {
            return refuse(404, 10003, "Unknown Channel");
        }
        let allowed = world.permissions & !world.denied.get(&channel).copied().unwrap_or(0);
        let may = |bit: u64| is_direct || allowed & (1 << bit) != 0;
        let missing = || refuse(403, 50013, "Missing Permissions");
        match (method, rest) {
            ("GET", ["messages"]) => history(world, channel, query),
            ("POST", ["messages"]) if !may(11) => missing(),
            ("POST", ["messages"]) => post(world, channel, body, now),
            ("PATCH", ["messages", id]) => match world.message_mut(id) {
                None => refuse(404, 10008, "Unknown Message"),
                Some(said) if said.author != BOT => refuse(403, 50005, "not yours"),
                Some(said) => match flaw(body) {
                    Some(flaw) => refuse(400, 50035, flaw),
                    None => {
                        said.body = body.clone();
                        (200, json!({ "id": said.id.to_string() }))
                    }
                },
            },
            ("DELETE", ["messages", id]) => match world.message(id).map(|it| it.author) {
                None => refuse(404, 10008, "Unknown Message"),
                Some(author) if author != BOT && !may(13) => missing(),
                Some(_) => {
                    world.said.retain(|it| it.id.to_string() != **id);
                    (204, Value::Null)
                }
            },
            ("PUT", ["messages", id, "reactions", emoji, "@me"]) if may(6) => {
                match world.message_mut(id) {
                    None => refuse(404, 10008, "Unknown Message"),
                    Some(said) => {
                        said.reactions.push((*emoji).to_owned());
                        (204, Value::Null)
                    }
                }
            }
            ("PUT", ["pins", id]) if may(13) => match world.message_mut(id) {
                None => refuse(404, 10008, "Unknown Message"),
                Some(said) => {
                    said.pinned = true;
                    (204, Value::Null)
                }
            },
            ("PUT", _) => missing(),
            _ => refuse(405, 0, "405: Method Not Allowed"),
        }
    })
}

fn history(world: &World, channel: u64, query: &str) -> Answer {
    let value = |name: &str| {
        let found =
            query.split('&').filter_map(|it| it.split_once('=')).find(|(key, _)| *key == name);
        found.and_then(|(_, value)| value.parse::<u64>().ok())
    };
    let (after, limit) = (value("after").unwrap_or(0), value("limit").unwrap_or(50));
    if !(1..=100).contains(&limit) {
        return refuse(400, 50035, "limit");
    }
    let found =
        world.said.iter().filter(|it| it.channel == channel && it.id > after && !it.ephemeral);
    let mut page: Vec<&Said> = found.take(limit as usize).collect();
    page.reverse();
    (200, page.into_iter().map(|it| world.told(it, false)).collect())
}

fn post(world: &mut World, channel: u64, body: &Value, now: i64) -> Answer {
    if let Some(flaw) = flaw(body) {
        return refuse(400, 50035, flaw);
    }
    let nonce = body["nonce"].as_str().map(str::to_owned);
    if body["enforce_nonce"] != true || nonce.is_none() {
        return refuse(400, 50035, "the adapter promised a nonce");
    }
    let before = world.said.iter().find(|it| it.author == BOT && it.nonce == nonce);
    if let Some(before) = before {
        return (200, world.told(before, false));
    }
    (200, say(world, channel, body, nonce, false, now))
}

fn say(
    world: &mut World,
    channel: u64,
    body: &Value,
    nonce: Option<String>,
    ephemeral: bool,
    now: i64,
) -> Value {
    let mut body = body.clone();
    body["content"] = body["content"].as_str().unwrap_or_default().trim().into();
    let id = world.snowflake(now);
    let said = Said {
        id,
        channel,
        author: BOT,
        body,
        nonce,
        ephemeral,
        pinned: false,
        reactions: Vec::new(),
    };
    let told = world.told(&said, false);
    world.said.push(said);
    told
}

fn in_guild(inner: &Inner, method: &str, rest: &[&str], body: &Value) -> Answer {
    inner.world_mut(|world| {
        let allowed = world.permissions;
        let may = |bit: u64| allowed & (1 << bit) != 0;
        let missing = || refuse(403, 50013, "Missing Permissions");
        let is_low = |id: u64| id != super::world::OWNER;
        let id = rest.get(1).and_then(|id| id.parse().ok()).unwrap_or(0);
        match (method, rest) {
            ("PATCH", ["members", _]) => {
                let needed = if body.get("nick").is_some() { 27 } else { 40 };
                if !may(needed) || !is_low(id) {
                    return missing();
                }
                let Some(member) = world.members.get_mut(&id) else {
                    return refuse(404, 10007, "Unknown Member");
                };
                if let Some(nick) = body.get("nick") {
                    member.nick = nick.as_str().filter(|it| !it.is_empty()).map(str::to_owned);
                }
                if let Some(until) = body.get("communication_disabled_until") {
                    member.muted_until = until.as_str().map(str::to_owned);
                }
                (200, world.whole_member(id))
            }
            ("DELETE", ["members", _]) if may(1) && is_low(id) => match world.members.remove(&id) {
                None => refuse(404, 10007, "Unknown Member"),
                Some(_) => (204, Value::Null),
            },
            ("PUT", ["bans", _]) if may(2) && is_low(id) => {
                world.members.remove(&id);
                world.banned.insert(id);
                (204, Value::Null)
            }
            _ => missing(),
        }
    })
}

fn respond(inner: &Inner, id: &str, token: &str, body: &Value) -> Answer {
    let mut interactions = inner.interactions.lock().unwrap();
    let Some(it) = interactions.get_mut(token).filter(|it| it.id.to_string() == id) else {
        return refuse(404, 10062, "Unknown interaction");
    };
    if it.acknowledged.is_some() {
        return refuse(400, 40060, "Interaction has already been acknowledged.");
    }
    if it.asked_at.elapsed() > Duration::from_secs(3) {
        return refuse(404, 10062, "Unknown interaction");
    }
    let kind = body["type"].as_u64().unwrap_or(0);
    let fits = if it.is_button { kind == 6 } else { kind == 5 };
    if !fits {
        return refuse(400, 50035, "a deferring answer was expected");
    }
    it.acknowledged = Some(body["data"]["flags"] == 64);
    it.original = (!it.is_button).then_some(None);
    (204, Value::Null)
}

fn webhook(inner: &Inner, method: &str, token: &str, rest: &[&str], body: &Value) -> Answer {
    let mut interactions = inner.interactions.lock().unwrap();
    let Some(it) = interactions.get_mut(token) else {
        return refuse(404, 10015, "Unknown Webhook");
    };
    let Some(aside) = it.acknowledged.filter(|_| !it.is_expired) else {
        return refuse(401, 50027, "Invalid Webhook Token");
    };
    let (channel, now) = (it.channel, inner.now());
    match (method, rest) {
        ("PATCH", ["messages", "@original"]) => match it.original {
            None => refuse(404, 10008, "Unknown Message"),
            Some(_) => match flaw(body) {
                Some(flaw) => refuse(400, 50035, flaw),
                None => {
                    let told = inner.world_mut(|world| say(world, channel, body, None, aside, now));
                    it.original = Some(told["id"].as_str().map(str::to_owned));
                    (200, told)
                }
            },
        },
        ("DELETE", ["messages", "@original"]) => match it.original.take() {
            None => refuse(404, 10008, "Unknown Message"),
            Some(_) => (204, Value::Null),
        },
        ("POST", []) => {
            // The first follow-up would take the place of the sign of thinking.
            if it.original == Some(None) {
                return refuse(400, 0, "a sign of thinking still stands");
            }
            if let Some(flaw) = flaw(body) {
                return refuse(400, 50035, flaw);
            }
            let aside = body["flags"] == 64;
            (200, inner.world_mut(|world| say(world, channel, body, None, aside, now)))
        }
        _ => refuse(405, 0, "405: Method Not Allowed"),
    }
}
