//! What is committed, in one line of the log: everything but how long scripts took.

use qundao::store::{TurnRows, Write};

/// The line of a write.
pub fn write(write: &Write) -> String {
    match write {
        Write::Turn(rows) => turn(rows),
        Write::Deliver(delivery) => format!("deliver {} {}", delivery.id, delivery.key),
        Write::Audit(line) => format!("audit {} {}", line.action, line.object),
        Write::Settle(settled) => format!(
            "settle {} {} {:?} tries {}",
            settled.id,
            settled.state.as_str(),
            settled.reason,
            settled.attempts
        ),
    }
}

fn turn(rows: &TurnRows) -> String {
    let event = &rows.event;
    let mut line = format!(
        "turn {} c{} {} {} {}",
        event.id,
        event.community,
        event.kind,
        event.key,
        event.state.as_str()
    );
    let mut add = |what: &str, of: String| {
        line.push_str(&format!(" {what} {of}"));
    };
    for member in &rows.members {
        add("member", format!("{} {} {}", member.person, member.joined_at, member.trust));
    }
    for touched in &rows.touched {
        add("count", format!("{} {}", touched.person, touched.messages));
    }
    for it in &rows.transfers {
        add("move", format!("{} {}>{} {} {}", it.id, it.debit, it.credit, it.amount, it.key));
    }
    for share in &rows.shares {
        add("share", format!("{}.{} {} {:?}", share.packet, share.n, share.amount, share.person));
    }
    for packet in &rows.packets {
        add("packet", format!("{} {}", packet.id, packet.state));
    }
    for state in &rows.state {
        add("state", format!("{}.{} {:?}", state.script, state.key, state.value));
    }
    for timer in &rows.timers {
        add("timer", format!("{} {} {} {}", timer.id, timer.script, timer.name, timer.due));
    }
    for timer in &rows.timers_gone {
        add("gone", timer.to_string());
    }
    for run in &rows.runs {
        add("run", format!("{} {} {} {:?}", run.name, run.local, run.state, run.reason));
    }
    for it in &rows.deliveries {
        add("send", format!("{} {} {} {}", it.id, it.key, it.to.reference(), it.call.word()));
    }
    line
}
