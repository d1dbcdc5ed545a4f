//! What becomes of a call whose client leaves.

use std::sync::{Arc, Condvar, Mutex};

use e2e::{After, DEADLINE, Origin, Proxy, eventually};

/// Opens once, for as many as wait.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn wait(&self) {
        let closed = |open: &mut bool| !*open;
        drop(self.0.1.wait_timeout_while(self.0.0.lock().unwrap(), DEADLINE, closed).unwrap());
    }
}

fn outcome(proxy: &Proxy, result: &str) -> f64 {
    proxy.metrics().sum("starve_detached_writes_total", &[("result", result)])
}

/// The requests that have ended without an answer to the client.
fn wait_until_left(proxy: &Proxy, method: &str, calls: f64) {
    eventually("the call to be counted without an answer", || {
        match proxy.metrics().sum("starve_requests_total", &[("method", method), ("code", "none")]) {
            count if count >= calls => Ok(()),
            count => Err(format!("{count}")),
        }
    });
}

/// An origin that answers when the gate opens, and says whether it could.
fn waiting(gate: &Gate, answered: &Arc<Mutex<Vec<String>>>) -> Origin {
    let (gate, answered) = (gate.clone(), answered.clone());
    Origin::start(move |exchange| {
        exchange.read_body()?;
        gate.wait();
        exchange.answer(200, &[], &[b'x'; 100_000])?;
        // The connection is used again only if the answer was taken whole.
        answered.lock().unwrap().push(exchange.head.method().to_owned());
        Ok(After::Keep)
    })
}

#[test]
fn a_write_is_seen_through_when_its_client_leaves() {
    let (gate, answered) = (Gate::default(), Arc::default());
    let origin = waiting(&gate, &answered);
    let proxy = Proxy::start(&format!("legacy: {}\nroutes: [ {{ match: '* /a' }} ]\n", origin.url()));
    for (index, (path, body)) in [("/a", &b"whole"[..]), ("/discovered", b"")].into_iter().enumerate() {
        let mut client = proxy.client();
        client.begin("POST", path, &[], body);
        origin.wait_for(index + 1);
        eventually("the whole request at the origin", || match origin.seen()[index].body.len() {
            length if length == body.len() => Ok(()),
            length => Err(format!("{length} bytes")),
        });
        drop(client);
    }
    wait_until_left(&proxy, "POST", 2.0);
    gate.open();
    eventually("two finished writes", || match outcome(&proxy, "finished") {
        2.0 => Ok(()),
        count => Err(format!("{count}")),
    });
    assert_eq!(answered.lock().unwrap().len(), 2);
    assert_eq!(proxy.metrics().sum("starve_in_flight_requests", &[]), 0.0);
    assert_eq!(origin.seen()[0].body, b"whole");
}

#[test]
fn a_read_and_a_write_that_may_be_cancelled_are_cut() {
    let origin = Origin::start(|exchange| {
        exchange.read_body()?;
        exchange.wait_for_close()?;
        Ok(After::Close)
    });
    let proxy = Proxy::start(&format!(
        "legacy: {}\nroutes: [ {{ match: 'GET,POST /a', on-client-abort: cancel }} ]\n",
        origin.url()
    ));
    for (index, method) in ["GET", "POST"].into_iter().enumerate() {
        let mut client = proxy.client();
        client.begin(method, "/a", &[], b"");
        origin.wait_for(index + 1);
        drop(client);
        wait_until_left(&proxy, method, 1.0);
    }
    for result in ["finished", "failed", "request_cut", "over_limit"] {
        assert_eq!(outcome(&proxy, result), 0.0, "{result}");
    }
}

#[test]
fn a_write_whose_request_breaks_off_is_cut_at_the_side() {
    let cut = Arc::new(Mutex::new(false));
    let is_cut = cut.clone();
    let origin = Origin::start(move |exchange| {
        let body = exchange.read_body();
        *is_cut.lock().unwrap() = body.is_err();
        exchange.answer(200, &[], b"")?;
        Ok(After::Keep)
    });
    let proxy = Proxy::start(&format!("legacy: {}\nroutes: [ {{ match: POST /a }} ]\n", origin.url()));
    let framings = ["content-length: 10\r\n\r\nhalf", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"];
    for (index, framing) in framings.into_iter().enumerate() {
        *cut.lock().unwrap() = false;
        let mut client = proxy.client();
        client.send(format!("POST /a HTTP/1.1\r\nhost: a\r\n{framing}"));
        origin.wait_for(index + 1);
        drop(client);
        eventually("a cut request", || if *cut.lock().unwrap() { Ok(()) } else { Err("whole".to_owned()) });
    }
    assert_eq!(outcome(&proxy, "finished"), 0.0);
}

#[test]
fn more_writes_than_allowed_are_cut() {
    let (gate, answered) = (Gate::default(), Arc::default());
    let origin = waiting(&gate, &answered);
    let proxy = Proxy::start(&format!(
        "legacy: {}\nlimits: {{ detached-writes: 1 }}\nroutes: [ {{ match: POST /a }} ]\n",
        origin.url()
    ));
    let clients: Vec<_> = (0..2)
        .map(|index| {
            let mut client = proxy.client();
            client.begin("POST", "/a", &[], b"x");
            origin.wait_for(index + 1);
            client
        })
        .collect();
    drop(clients);
    eventually("one over the limit", || match outcome(&proxy, "over_limit") {
        1.0 => Ok(()),
        count => Err(format!("{count}")),
    });
    gate.open();
    eventually("the other finished", || match outcome(&proxy, "finished") {
        1.0 => Ok(()),
        count => Err(format!("{count}")),
    });
}
