//! Free ports for instances.
//!
//! A port is found by binding to port 0 and telling the child the number. On Linux the socket stays bound,
//! without listening, until the child listens: nobody else is given the number, and the child may bind it all
//! the same if it sets SO_REUSEADDR, as nearly every server does. For one that does not, and on other systems,
//! the socket is closed first. Then somebody else may take the port, a race that only handing over an open
//! socket would rule out, and the `$PORT` contract has no place for one. It is met from three sides: no two
//! starts of this program get the same number, a child that ends while its port is in other hands is started
//! again with another one, and readiness is believed only while the child lives.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};

use socket2::{Domain, Protocol, Socket, Type};

/// Numbers given to children that do not listen yet.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port that no other start in this program gets while it lives.
#[derive(Debug)]
pub(super) struct Port {
    number: u16,
    /// Keeps the number from everybody but the child.
    reservation: Option<Socket>,
}

impl Port {
    /// A free port, held until the child listens where the system allows it.
    pub(super) fn reserve() -> io::Result<Self> {
        let mut port = Self::choose()?;
        if cfg!(not(target_os = "linux")) {
            port.reservation = None;
        }
        Ok(port)
    }

    /// A free port that anybody may take.
    pub(super) fn unreserved() -> io::Result<Self> {
        let mut port = Self::choose()?;
        port.reservation = None;
        Ok(port)
    }

    fn choose() -> io::Result<Self> {
        // Sockets whose number was given already are kept open, so that the next one differs.
        let mut taken = Vec::new();
        loop {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
            let number = socket.local_addr()?.as_socket().map_or(0, |address| address.port());
            if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(number) {
                return Ok(Self { number, reservation: Some(socket) });
            }
            taken.push(socket);
        }
    }

    pub(super) fn is_reserved(&self) -> bool {
        self.reservation.is_some()
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }

    /// Whether somebody holds the port. Asked when the child has ended, so that it is not the child.
    pub(super) fn is_taken(&self) -> bool {
        TcpListener::bind(self.address()).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        GIVEN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_given_at_the_same_time_all_differ() {
        let ports: Vec<_> = (0..200).map(|_| Port::unreserved().unwrap()).collect();
        let numbers: BTreeSet<_> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), ports.len());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_reserved_port_is_the_child_s_and_nobody_else_s() {
        let port = Port::reserve().unwrap();
        // What a server does, with SO_REUSEADDR; and what one without it, or a stranger, meets.
        drop(TcpListener::bind(port.address()).unwrap());
        let stranger = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        assert!(stranger.bind(&port.address().into()).is_err());
    }

    #[test]
    fn a_port_in_other_hands_is_noticed() {
        let port = Port::unreserved().unwrap();
        let thief = TcpListener::bind(port.address()).unwrap();
        assert!(port.is_taken());
        drop(thief);
        assert!(!port.is_taken());
    }
}
