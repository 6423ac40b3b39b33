//! Connections: what is asked of every one of them, and whether it was granted.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions, Row};

use super::failure;
use crate::planted::{self, Bug};
use crate::store::StoreError;

/// Nobody waits longer for a connection, ms.
const CONNECT_MAX_MS: u64 = 10_000;
/// Nobody waits longer for a row that somebody else holds, ms.
const LOCK_MAX_MS: u64 = 30_000;

/// Reads an address. A server on another machine is asked for TLS and its certificate is checked,
/// unless the address says otherwise.
///
/// # Errors
/// What is wrong with it, without its password.
pub(super) fn options(url: &str, lease_ms: u64) -> Result<PgConnectOptions, StoreError> {
    let wrong = |what: String| StoreError::Data(format!("the address of the database: {what}"));
    let parsed = url::Url::parse(url).map_err(|error| wrong(error.to_string()))?;
    let says_mode = parsed.query_pairs().any(|(key, _)| key == "sslmode" || key == "ssl-mode");
    let mut options = PgConnectOptions::from_str(url).map_err(|error| wrong(error.to_string()))?;
    if !says_mode && std::env::var_os("PGSSLMODE").is_none() {
        let near = options.get_socket().is_some() || is_near(options.get_host());
        options = options.ssl_mode(if near { PgSslMode::Prefer } else { PgSslMode::VerifyFull });
    }
    let commits = if planted::has(Bug::SynchronousOff) { "off" } else { "on" };
    let lock_max = LOCK_MAX_MS.to_string();
    let lease = lease_ms.to_string();
    Ok(options.application_name("qundao").statement_cache_capacity(256).options([
        ("synchronous_commit", commits),
        ("lock_timeout", &lock_max),
        // A process that was stopped in the middle must not hold rows for ever.
        ("idle_in_transaction_session_timeout", &lease),
        // Who is cut off is noticed.
        ("tcp_keepalives_idle", "10"),
        ("tcp_keepalives_interval", "5"),
        ("tcp_keepalives_count", "3"),
    ]))
}

/// This machine, or the folder of a socket.
fn is_near(host: &str) -> bool {
    host.starts_with('/')
        || host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Connects, and asserts what durability rests on: what was asked for is not always what was given.
pub(super) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    let connecting = async {
        let mut connection = options.connect().await.map_err(refused)?;
        check(&mut connection).await.map_err(failure)??;
        Ok(connection)
    };
    match tokio::time::timeout(Duration::from_millis(CONNECT_MAX_MS), connecting).await {
        Ok(done) => done,
        Err(_) => Err(StoreError::Io("the database server does not answer".to_owned())),
    }
}

/// What is wrong with a connection, if anything.
pub(super) async fn check(
    connection: &mut PgConnection,
) -> Result<Result<(), StoreError>, sqlx::Error> {
    let sql = "SELECT current_setting('synchronous_commit'), current_setting('fsync'),
        current_setting('server_encoding')";
    let row = sqlx::query(sql).fetch_one(connection).await?;
    for (at, name, wanted) in
        [(0, "synchronous_commit", "on"), (1, "fsync", "on"), (2, "server_encoding", "UTF8")]
    {
        let is: String = row.get(at);
        if is != wanted {
            let what = format!("`{name}` of the database server is `{is}`, it must be `{wanted}`");
            return Ok(Err(StoreError::Data(what)));
        }
    }
    Ok(Ok(()))
}

/// A refused connection, with what to do about the likeliest reasons.
fn refused(error: sqlx::Error) -> StoreError {
    if let sqlx::Error::Database(inner) = &error {
        return StoreError::Io(inner.message().to_owned());
    }
    let said = error.to_string();
    // What rustls says of a certificate comes as an error of the connection.
    if matches!(error, sqlx::Error::Tls(_)) || said.contains("certificate") {
        return StoreError::Io(format!(
            "no TLS with the database server: {said}; write `?sslrootcert=FILE` behind the address \
             for an authority of your own, or `?sslmode=disable` if nobody else is on the network \
             between"
        ));
    }
    StoreError::Io(format!("cannot reach the database server: {said}"))
}
