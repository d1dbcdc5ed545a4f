use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 4_096;

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {hint}")]
pub struct BindError {
    pub address: SocketAddr,
    hint: &'static str,
    #[source]
    source: io::Error,
}

/// Binds one listening socket per worker to the same address, so that the kernel spreads connections
/// over the workers (SO_REUSEPORT). Port 0 takes any free port, the same for all.
///
/// # Errors
/// The port is taken, also by another process that would share it; the address is not this machine's;
/// a port below 1024 without the right to it.
pub fn bind(address: SocketAddr, workers: usize) -> Result<Vec<TcpListener>, BindError> {
    let wrong = |source: io::Error| BindError { address, hint: hint(&source), source };
    if address.port() != 0 {
        // A socket that shares its port would join another process's group in silence and take half of
        // its connections. One that does not share is refused.
        drop(socket(address, false).map_err(wrong)?);
    }
    let mut listeners = Vec::with_capacity(workers);
    let mut address = address;
    for _ in 0..workers.max(1) {
        let listener: TcpListener = socket(address, true).map_err(wrong)?.into();
        listener.set_nonblocking(true).map_err(wrong)?;
        address = listener.local_addr().map_err(wrong)?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn socket(address: SocketAddr, share: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Lets a restart take the port while old connections are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program is listening there; stop it or give `listen` another address"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege (CAP_NET_BIND_SERVICE); take a higher one"
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        _ => "the system refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }

    #[test]
    fn all_workers_listen_on_one_port() {
        let listeners = bind(loopback(), 3).unwrap();
        let ports: Vec<u16> = listeners.iter().map(|one| one.local_addr().unwrap().port()).collect();
        assert_eq!(ports.len(), 3);
        assert!(ports.iter().all(|port| *port == ports[0] && *port != 0));
    }

    #[test]
    fn a_port_that_another_program_shares_is_still_taken() {
        let first = bind(loopback(), 1).unwrap();
        let address = first[0].local_addr().unwrap();
        let error = bind(address, 1).unwrap_err();
        assert!(error.to_string().contains("another program"), "{error}");
    }
}
