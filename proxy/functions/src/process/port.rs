//! Free ports for instances.
//!
//! A port is found by binding to port 0, closing, and telling the child the number. Between closing and the
//! child's own bind somebody else may take it: that is a race which only handing over an open socket would
//! rule out, and the `$PORT` contract has no place for one. So it is met from three sides: no two starts of
//! this program get the same number, a child that ends while its port is in other hands is started again
//! with another one, and readiness is believed only while the child lives.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};

/// Numbers given to children that do not listen yet.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port that no other start in this program gets while it lives.
#[derive(Debug)]
pub(super) struct Port(u16);

impl Port {
    pub(super) fn choose() -> io::Result<Self> {
        // Sockets whose number was given already are kept open, so that the next one differs.
        let mut taken = Vec::new();
        loop {
            let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let port = socket.local_addr()?.port();
            if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
                return Ok(Self(port));
            }
            taken.push(socket);
        }
    }

    pub(super) fn number(&self) -> u16 {
        self.0
    }

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.0))
    }

    /// Whether somebody holds the port. Asked when the child has ended, so that it is not the child.
    pub(super) fn is_taken(&self) -> bool {
        TcpListener::bind(self.address()).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        GIVEN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_given_at_the_same_time_all_differ() {
        let ports: Vec<_> = (0..200).map(|_| Port::choose().unwrap()).collect();
        let numbers: BTreeSet<_> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), ports.len());
    }

    #[test]
    fn a_port_in_other_hands_is_noticed() {
        let port = Port::choose().unwrap();
        let thief = TcpListener::bind(port.address()).unwrap();
        assert!(port.is_taken());
        drop(thief);
        assert!(!port.is_taken());
    }
}
