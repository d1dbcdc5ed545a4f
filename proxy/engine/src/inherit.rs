//! Listening sockets that are older than this process: opened by systemd, or by the process that this one replaces.
//!
//! Both pass them in the same way (`sd_listen_fds(3)`): from descriptor 3 on, counted by `LISTEN_FDS`, named by
//! `LISTEN_FDNAMES`. Invariant: what is passed and fits is used, so that not one connection in a queue is lost;
//! what fits nothing is closed and told.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixDatagram;

use listenfd::ListenFd;

/// The name under which a process passes its successor the way back to it.
pub(crate) const PREDECESSOR: &str = "starve-predecessor";

#[derive(Debug, Default)]
pub(crate) struct Inherited {
    sockets: Vec<(String, TcpListener)>,
    /// The process that this one replaces.
    pub(crate) predecessor: Option<UnixDatagram>,
}

/// What a listening socket is for: the place of a listener in the file, or the admin address.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    Listener(usize),
    Admin,
}

/// What a socket is called when it is passed on. Names hold no colon (`sd_listen_fds_with_names(3)`).
pub(crate) fn name(role: Role, address: SocketAddr) -> String {
    let what = match role {
        // Port 0 is another port for each listener.
        Role::Listener(index) if address.port() == 0 => format!("starve-listener-{index}-{address}"),
        Role::Listener(_) => format!("starve-listener-{address}"),
        Role::Admin => format!("starve-admin-{address}"),
    };
    what.replace(':', "_")
}

impl Inherited {
    /// Takes what was passed to this process. Once: a second time there is nothing.
    ///
    /// # Errors
    /// A descriptor is no TCP socket that listens.
    pub(crate) fn take() -> io::Result<Self> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<&str> = names.split(':').collect();
        let mut passed = ListenFd::from_env();
        let mut inherited = Self::default();
        for index in 0..passed.len() {
            let name = names.get(index).copied().unwrap_or_default();
            if name == PREDECESSOR {
                inherited.predecessor = passed.take_unix_datagram(index)?;
            } else if let Some(listener) = passed.take_tcp_listener(index)? {
                if !socket2::SockRef::from(&listener).is_listener()? {
                    return Err(io::Error::other(format!("the passed socket {} does not listen", index + 3)));
                }
                listener.set_nonblocking(true)?;
                inherited.sockets.push((name.to_owned(), listener));
            }
        }
        Ok(inherited)
    }

    /// The sockets for one address of the configuration: those that bear its name, else those that are bound to it.
    pub(crate) fn of(&mut self, role: Role, address: SocketAddr) -> Vec<TcpListener> {
        let wanted = name(role, address);
        let named = self.extract(|name, _| name == wanted);
        if named.is_empty() { self.extract(|_, bound| is_for(bound, address)) } else { named }
    }

    fn extract(&mut self, fits: impl Fn(&str, SocketAddr) -> bool) -> Vec<TcpListener> {
        let fits = |(name, listener): &mut (String, TcpListener)| {
            listener.local_addr().is_ok_and(|bound| fits(name, bound))
        };
        self.sockets.extract_if(.., fits).map(|(_, listener)| listener).collect()
    }

    /// Closes what nobody has asked for.
    pub(crate) fn close_rest(self) {
        for (name, listener) in self.sockets {
            let address =
                listener.local_addr().map_or_else(|_| "?".to_owned(), |address| address.to_string());
            tracing::warn!(
                name,
                address,
                "a passed socket is no address of `listen` or `admin` and is closed; name it there, or do not pass it"
            );
        }
    }
}

/// A socket that is bound to all addresses takes IPv4 as well, whichever way it is written.
fn is_for(bound: SocketAddr, wanted: SocketAddr) -> bool {
    let all = bound.ip().is_unspecified() && wanted.ip().is_unspecified();
    bound.port() == wanted.port() && (all || bound.ip() == wanted.ip())
}

/// One share of sockets for each worker. Each socket is somebody's: what waits in its queue must be accepted.
///
/// # Errors
/// No more descriptors.
pub(crate) fn spread(sockets: Vec<TcpListener>, workers: usize) -> io::Result<Vec<Vec<TcpListener>>> {
    let mut shares: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
    let missing = sockets.len()..workers;
    for index in missing {
        if let Some(shared) = sockets.get(index % sockets.len().max(1)) {
            shares[index].push(shared.try_clone()?);
        }
    }
    for (index, socket) in sockets.into_iter().enumerate() {
        shares[index % workers.max(1)].push(socket);
    }
    Ok(shares)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(number: usize) -> Vec<TcpListener> {
        (0..number).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect()
    }

    #[test]
    fn every_socket_is_served_and_every_worker_serves() {
        for (number, workers) in [(1, 1), (1, 3), (3, 3), (2, 3), (5, 2)] {
            let shares = spread(sockets(number), workers).unwrap();
            assert!(shares.iter().all(|share| !share.is_empty()), "{number} for {workers}");
            let mut ports: Vec<u16> =
                shares.iter().flatten().map(|socket| socket.local_addr().unwrap().port()).collect();
            ports.sort_unstable();
            ports.dedup();
            assert_eq!(ports.len(), number, "{number} for {workers}");
        }
    }

    #[test]
    fn a_socket_is_found_by_its_name_or_its_address() {
        let [named, bound] = sockets(2).try_into().unwrap();
        let address = bound.local_addr().unwrap();
        let configured = "127.0.0.1:0".parse().unwrap();
        let mut inherited = Inherited {
            sockets: vec![(name(Role::Listener(1), configured), named), ("any".to_owned(), bound)],
            predecessor: None,
        };
        assert_eq!(inherited.of(Role::Listener(0), configured).len(), 0);
        assert_eq!(inherited.of(Role::Admin, configured).len(), 0);
        assert_eq!(inherited.of(Role::Listener(1), configured).len(), 1);
        assert_eq!(inherited.of(Role::Listener(0), address).len(), 1);
        assert_eq!(inherited.sockets.len(), 0);
    }

    #[test]
    fn names_can_be_told_apart_and_hold_no_colon() {
        let six = name(Role::Listener(0), "[::1]:80".parse().unwrap());
        assert_eq!(six, "starve-listener-[__1]_80");
        assert_ne!(six, name(Role::Admin, "[::1]:80".parse().unwrap()));
    }

    #[test]
    fn all_addresses_are_all_addresses() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert!(is_for(parse("[::]:80"), parse("0.0.0.0:80")));
        assert!(is_for(parse("127.0.0.1:80"), parse("127.0.0.1:80")));
        assert!(!is_for(parse("[::]:80"), parse("127.0.0.1:80")));
        assert!(!is_for(parse("[::]:80"), parse("[::]:81")));
    }
}
