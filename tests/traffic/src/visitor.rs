//! One user: connection, cookies, what its client sends with every call, and its own chance.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use http::{HeaderMap, Request};
use tokio::task::JoinSet;

use crate::{
    call::Call,
    catalogue::Catalogue,
    connection::{Connection, RawAnswer},
    expected::{Answer, Failure},
    pace::Pace,
    payload::Payload,
    progress::Progress,
    random::Random,
};

/// A user during one visit. Calls answer None when the visit is over: the run stops, or a call failed.
#[derive(Debug)]
pub(crate) struct Visitor {
    pub(crate) random: Random,
    pub(crate) shop: &'static Catalogue,
    /// The number of the visit within the run; no two have the same.
    pub(crate) number: u64,
    headers: Vec<(&'static str, String)>,
    cookies: BTreeMap<String, String>,
    connection: Connection,
    context: Arc<Context>,
}

/// What all visitors of a run share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) pace: Pace,
    pub(crate) progress: Progress,
    pub(crate) authority: String,
    pub(crate) timeout: Duration,
    pub(crate) began_unix_ms: u128,
}

impl Visitor {
    pub(crate) fn new(context: Arc<Context>, connection: Connection, number: u64, random: Random) -> Self {
        let shop = Catalogue::shared();
        Self { random, shop, number, headers: Vec::new(), cookies: BTreeMap::new(), connection, context }
    }

    /// Send this header with every call from now on.
    pub(crate) fn always(&mut self, name: &'static str, value: impl Into<String>) {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
    }

    pub(crate) fn cookie(&self, name: &str) -> &str {
        self.cookies.get(name).map_or("", String::as_str)
    }

    /// An e-mail address the shop has not seen: with the time of the run, so that a run can be repeated.
    pub(crate) fn new_address(&self) -> String {
        format!("nora.{}.{}@example.com", self.context.began_unix_ms, self.number)
    }

    pub(crate) async fn call(&mut self, call: Call) -> Option<Answer> {
        if !self.context.pace.turn().await {
            return None;
        }
        let request = self.request(&call);
        let answer = perform(&self.context, &mut self.connection, &call, request).await?;
        self.keep_cookies(&answer.headers);
        Some(answer)
    }

    /// Several calls at once where the connection can carry them (HTTP/2), else one after the other.
    pub(crate) async fn call_all(&mut self, calls: Vec<Call>) -> Option<()> {
        let mut together = JoinSet::new();
        for call in calls {
            let Some(mut connection) = self.connection.share() else {
                self.call(call).await?;
                continue;
            };
            let (context, request) = (Arc::clone(&self.context), self.request(&call));
            together.spawn(async move {
                if !context.pace.turn().await {
                    return None;
                }
                perform(&context, &mut connection, &call, request).await
            });
        }
        let mut all_good = Some(());
        while let Some(ended) = together.join_next().await {
            all_good = all_good.and(ended.ok().flatten().map(|_| ()));
        }
        all_good
    }

    #[expect(clippy::expect_used, reason = "paths and headers are made of checked parts by this crate")]
    fn request(&self, call: &Call) -> Request<Payload> {
        let mut request = Request::builder().method(&call.method).uri(&call.path);
        for (name, value) in self.headers.iter().chain(&call.headers) {
            request = request.header(*name, value);
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("cookie", pairs.join("; "));
        }
        request.body(call.payload.clone()).expect("a call is a valid request")
    }

    fn keep_cookies(&mut self, headers: &HeaderMap) {
        for line in headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok()) {
            let mut parts = line.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            if parts.any(|attribute| attribute.eq_ignore_ascii_case("max-age=0")) {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// Make the call, check the answer, count both.
async fn perform(
    context: &Context,
    connection: &mut Connection,
    call: &Call,
    request: Request<Payload>,
) -> Option<Answer> {
    let http2 = connection.is_http2();
    let (answered, outcome) = match tokio::time::timeout(context.timeout, connection.exchange(request)).await
    {
        Err(_) => (None, Err(Failure::new("timed out", format!("after {:?}", context.timeout)))),
        Ok(Err(error)) => (None, Err(Failure::new(format!("no answer: {}", error.0), ""))),
        Ok(Ok(answer)) => {
            (Some(seen(&answer)), call.expected.check(&call.method, answer, &context.authority))
        }
    };
    match outcome {
        Ok(answer) => {
            context.progress.ended(call, http2, answered, None);
            Some(answer)
        }
        Err(failure) => {
            context.progress.ended(call, http2, answered, Some(failure));
            None
        }
    }
}

fn seen(answer: &RawAnswer) -> (u16, f64) {
    (answer.status.as_u16(), answer.head_ms)
}
