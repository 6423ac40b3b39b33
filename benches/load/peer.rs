//! The least that can answer: what generator, wire and machine allow, without a bot.

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

#[derive(Deserialize)]
struct Event<'a> {
    group_id: Option<u64>,
    #[serde(borrow)]
    raw_message: Option<std::borrow::Cow<'a, str>>,
}

/// Answers `echo` on a thread of its own. Returns where.
pub fn start() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    listener.set_nonblocking(true).expect("a socket");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async move {
            let listener = TcpListener::from_std(listener).expect("a port");
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream).await;
            }
        });
    });
    format!("ws://127.0.0.1:{port}/")
}

async fn serve(stream: TcpStream) {
    let Ok(socket) = accept_async(stream).await else { return };
    let (mut sink, mut source) = socket.split();
    while let Some(first) = source.next().await {
        let mut next = Some(first);
        while let Some(Ok(Message::Text(text))) = next {
            let event: Event<'_> = serde_json::from_str(&text).expect("an event");
            if let Some((group, token)) = event.group_id.zip(token(&event)) {
                let answer = format!(
                    "{{\"action\":\"send_group_msg\",\"params\":{{\"group_id\":{group},\
                     \"message\":\"{token}\"}}}}"
                );
                if sink.feed(Message::text(answer)).await.is_err() {
                    return;
                }
            }
            next = source.next().now_or_never().flatten();
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
}

fn token<'a>(event: &'a Event<'_>) -> Option<&'a str> {
    event.raw_message.as_ref()?.strip_prefix("echo ")
}
