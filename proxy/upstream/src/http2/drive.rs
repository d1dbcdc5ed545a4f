//! The task of a connection: it moves the frames, and notices a server that is no longer there.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::client::Connection;
use h2::{Ping, PingPong, Reason};
use tokio::time::{Instant, Sleep, sleep};

use super::State;
use crate::dial::Stream;

/// After such a silence while requests are waited for, the server is asked whether it is there; it is given up when it
/// does not say so in the same time again. It is asked once per silence: servers of gRPC take more for a flood.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until the server's settings are known, which come before the answer to a PING.
pub(super) async fn settle(
    connection: &mut Connection<Stream, Bytes>,
    ping: &mut PingPong,
) -> Result<(), h2::Error> {
    ping.send_ping(Ping::opaque())?;
    poll_fn(|cx| match Pin::new(&mut *connection).poll(cx) {
        Poll::Ready(Ok(())) => Poll::Ready(Err(Reason::NO_ERROR.into())),
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Pending => ping.poll_pong(cx).map_ok(drop),
    })
    .await
}

pub(super) async fn drive(connection: Connection<Stream, Bytes>, ping: Option<PingPong>, state: Arc<State>) {
    let mut connection = pin!(connection);
    let mut watch =
        Watch { ping, asked: Asked::Not, heard: 0, sleep: Box::pin(sleep(PATIENCE)), state: state.clone() };
    poll_fn(|cx| match connection.as_mut().poll(cx) {
        // How it ended shows in the exchanges.
        Poll::Ready(_ended) => Poll::Ready(()),
        Poll::Pending => watch.poll(cx),
    })
    .await;
    state.is_retired.store(true, Relaxed);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Not,
    Waiting,
    /// It is there, and has nothing to say.
    Answered,
}

struct Watch {
    ping: Option<PingPong>,
    asked: Asked,
    /// What was heard when it was last looked at.
    heard: u64,
    sleep: Pin<Box<Sleep>>,
    state: Arc<State>,
}

impl Watch {
    /// Ready when the server is gone.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(ping) = &mut self.ping else { return Poll::Pending };
        if self.asked == Asked::Waiting && ping.poll_pong(cx).is_ready() {
            self.asked = Asked::Answered;
        }
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            self.sleep.as_mut().reset(Instant::now() + PATIENCE);
            let heard = self.state.heard.load(Relaxed);
            let is_silent = heard == std::mem::replace(&mut self.heard, heard);
            let is_waited_for = self.state.streams.load(Relaxed) > 0;
            match self.asked {
                Asked::Waiting => return Poll::Ready(()),
                _ if !is_silent || !is_waited_for => self.asked = Asked::Not,
                Asked::Answered => {}
                Asked::Not => {
                    if ping.send_ping(Ping::opaque()).is_ok() {
                        self.asked = Asked::Waiting;
                        // Leaves word to be woken by the answer.
                        let _pending = ping.poll_pong(cx);
                    }
                }
            }
        }
    }
}
