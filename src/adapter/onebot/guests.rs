//! Who is at the port: so many in all, so many from one address, and who has not shown who he is makes
//! room for the next.
//!
//! A stranger can open connections and say nothing, or a byte a second. If places were simply taken,
//! some hundreds of such connections would keep everybody else out. So whoever has not shown the token,
//! a signature or an account yet is the first to go when somebody comes and there is no room: the
//! oldest of them, because who is honest has shown it within milliseconds.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Connections at the same time.
pub const CONNECTIONS_MAX: usize = 512;
/// Of one address. Not of this machine: implementations run beside the bot, and a proxy brings
/// everybody from there. What a proxy says of its own clients is not believed, so that one on another
/// machine counts as one address.
pub const ADDRESS_MAX: usize = 64;

/// Everybody who is at the port.
#[derive(Debug)]
pub struct Guests {
    inner: Mutex<BTreeMap<u64, Guest>>,
    most: usize,
    changed: Notify,
}

#[derive(Debug)]
struct Guest {
    from: IpAddr,
    is_known: bool,
    leave: CancellationToken,
}

/// The place of one connection, free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    guests: Arc<Guests>,
    number: u64,
    leave: CancellationToken,
}

impl Guests {
    /// Room for so many.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::default(), most: most.max(1), changed: Notify::new() })
    }

    /// Resolves when there is room for one more, or somebody who can make it.
    pub async fn room(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let has_room = {
                let guests = self.guests();
                guests.len() < self.most || guests.values().any(|guest| !guest.is_known)
            };
            if has_room {
                return;
            }
            changed.await;
        }
    }

    /// A place for a connection with this number; `None` where its address has all that it may have.
    pub fn admit(self: &Arc<Self>, number: u64, from: IpAddr) -> Option<Place> {
        let from = network(from);
        let mut guests = self.guests();
        let of_it = guests.values().filter(|guest| guest.from == from).count();
        if !from.is_loopback() && of_it >= ADDRESS_MAX {
            send_away(&mut guests, |guest| guest.from == from)?;
        } else if guests.len() >= self.most {
            send_away(&mut guests, |_| true)?;
        }
        let leave = CancellationToken::new();
        guests.insert(number, Guest { from, is_known: false, leave: leave.clone() });
        Some(Place { guests: self.clone(), number, leave })
    }

    fn guests(&self) -> MutexGuard<'_, BTreeMap<u64, Guest>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The oldest of those who are not known; `None` where there is none.
fn send_away(guests: &mut BTreeMap<u64, Guest>, is_meant: impl Fn(&Guest) -> bool) -> Option<()> {
    let oldest = guests.iter().find(|(_, guest)| !guest.is_known && is_meant(guest));
    let number = *oldest?.0;
    let guest = guests.remove(&number)?;
    guest.leave.cancel();
    Some(())
}

/// What counts as one address: of IPv6 what one customer is given.
fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6((u128::from(address) & (u128::MAX << 64)).into())
        }
        address => address,
    }
}

impl Place {
    /// It has shown who it is, and stays.
    pub fn is_known(&self) {
        if let Some(guest) = self.guests.guests().get_mut(&self.number) {
            guest.is_known = true;
        }
    }

    /// Resolves when it has to go.
    pub fn leave(&self) -> CancellationToken {
        self.leave.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.guests.guests().remove(&self.number);
        self.guests.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_oldest_stranger_makes_room_and_who_is_known_stays() {
        let guests = Guests::new(3);
        let here = address("127.0.0.1");
        let known = guests.admit(1, here).expect("room");
        known.is_known();
        let strangers = [2, 3].map(|number| guests.admit(number, here).expect("room"));
        let next = guests.admit(4, here).expect("a stranger makes room");
        assert!(strangers[0].leave().is_cancelled() && !strangers[1].leave().is_cancelled());
        assert!(!known.leave().is_cancelled());
        next.is_known();
        strangers[1].is_known();
        assert!(guests.admit(5, here).is_none(), "all are known");
        drop(known);
        assert!(guests.admit(6, here).is_some());
    }

    #[test]
    fn one_address_has_so_many_unless_it_is_this_machine() {
        let guests = Guests::new(CONNECTIONS_MAX);
        let mut places = Vec::new();
        for number in 0..ADDRESS_MAX as u64 {
            // Whatever lies in one /64 is one.
            let from = address(&format!("2001:db8::{number:x}"));
            places.push(guests.admit(number, from).expect("room"));
        }
        places[1..].iter().for_each(Place::is_known);
        let next = guests.admit(1000, address("2001:db8::1")).expect("a stranger makes room");
        assert!(places[0].leave().is_cancelled());
        next.is_known();
        assert!(guests.admit(1001, address("2001:db8::2")).is_none());
        assert!(guests.admit(1002, address("2001:db8:0:1::2")).is_some(), "another has room");
        for number in 2000..2200 {
            let from = address("::ffff:127.0.0.1");
            places.push(guests.admit(number, from).expect("this machine has room"));
        }
    }
}
