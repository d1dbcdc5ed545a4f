//! Interim answers (1xx) on their way from a server to the client that asked.
//!
//! "A proxy MUST forward 1xx responses unless the proxy itself requested" them (RFC 9110 §15.2). They come
//! while a request is being answered, in the task of the client's connection; so the connection leaves word
//! where they go whenever it polls the answer, which costs nothing for the many that have none.

use std::cell::RefCell;
use std::sync::Arc;

use http::response;

/// Where they go: a client's connection.
pub trait Sink: Send + Sync {
    fn interim(&self, head: &response::Parts);
}

thread_local! {
    static CLIENT: RefCell<Option<Arc<dyn Sink>>> = const { RefCell::new(None) };
}

/// Makes the client's connection the place where interim answers go, as long as what it returns lives.
#[must_use]
pub fn within(client: &mut Option<Arc<dyn Sink>>) -> impl Drop {
    CLIENT.with_borrow_mut(|current| std::mem::swap(current, client));
    Within(client)
}

struct Within<'a>(&'a mut Option<Arc<dyn Sink>>);

impl Drop for Within<'_> {
    fn drop(&mut self) {
        CLIENT.with_borrow_mut(|current| std::mem::swap(current, self.0));
    }
}

/// Passes an interim answer on, if whoever asked is there to take it.
pub fn pass(head: &response::Parts) {
    let client = CLIENT.with_borrow(Clone::clone);
    if let Some(client) = client {
        client.interim(head);
    }
}
