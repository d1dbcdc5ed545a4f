//! Every listening socket of the process: taken over where somebody has it already, bound where nobody has.

use std::net::TcpListener;

use starve_config::{AdminPlan, Plan};
use starve_listener::bind;

use crate::inherit::{Inherited, Role, name, spread};
use crate::server::StartError;

#[derive(Debug)]
pub(crate) struct Sockets {
    /// By listener, then by worker.
    pub(crate) listeners: Vec<Vec<Vec<TcpListener>>>,
    pub(crate) admin: Option<(TcpListener, AdminPlan)>,
    pub(crate) kept: Kept,
}

/// A second descriptor of each socket, for a successor. While one is open, so is the queue.
#[derive(Debug, Default)]
pub(crate) struct Kept(Vec<(String, TcpListener)>);

impl Sockets {
    /// # Errors
    /// An address that cannot be had.
    pub(crate) fn open(plan: &Plan, workers: usize, mut inherited: Inherited) -> Result<Self, StartError> {
        let mut kept = Kept::default();
        let mut listeners = Vec::new();
        for (index, listener) in plan.listeners.iter().enumerate() {
            let role = Role::Listener(index);
            let mut sockets = inherited.of(role, listener.address);
            if sockets.is_empty() {
                sockets = bind(listener.address, workers)?;
            }
            kept.add(&name(role, listener.address), &sockets)?;
            listeners.push(spread(sockets, workers).map_err(StartError::Passed)?);
        }
        let admin = plan.admin.as_ref().map(|plan| {
            let mut sockets = inherited.of(Role::Admin, plan.address);
            if sockets.is_empty() {
                sockets = bind(plan.address, 1).map_err(StartError::AdminBind)?;
            }
            // Whatever systemd does, the admin address has one socket.
            sockets.truncate(1);
            kept.add(&name(Role::Admin, plan.address), &sockets)?;
            Ok::<_, StartError>(sockets.pop().map(|socket| (socket, plan.clone())))
        });
        let admin = admin.transpose()?.flatten();
        inherited.close_rest();
        Ok(Self { listeners, admin, kept })
    }
}

impl Kept {
    fn add(&mut self, name: &str, sockets: &[TcpListener]) -> Result<(), StartError> {
        for socket in sockets {
            self.0.push((name.to_owned(), socket.try_clone().map_err(StartError::Passed)?));
        }
        Ok(())
    }

    /// All of them once more.
    pub(crate) fn copies(&self) -> std::io::Result<Vec<(String, TcpListener)>> {
        self.0.iter().map(|(name, socket)| Ok((name.clone(), socket.try_clone()?))).collect()
    }
}
