//! The component that the tests call. The path chooses how it behaves, and most behave badly.

mod answer;
mod outbound;

use std::sync::atomic::{AtomicU32, Ordering};

use answer::{Body, about, answer, head};
use wasip2::clocks::monotonic_clock;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{ErrorCode, Fields, IncomingRequest, ResponseOutparam};
use wasip2::{cli, filesystem};

wasip2::http::proxy::export!(Behaviour);

struct Behaviour;

static CALLS: AtomicU32 = AtomicU32::new(0);

impl Guest for Behaviour {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        std::panic::set_hook(Box::new(|panic| {
            answer::print(&cli::stderr::get_stderr(), &format!("{panic}\n"))
        }));
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        match path {
            "/hello" => answer(out, 200, "hello"),
            "/about" => answer(out, 200, &about(&request)),
            "/count" => answer(out, 200, &(CALLS.fetch_add(1, Ordering::Relaxed) + 1).to_string()),
            "/echo" => echo(&request, out),
            "/headers" => many_headers(out),
            "/forbidden" => forbidden_header(out),
            "/trailers" => trailers(out),
            "/sandbox" => answer(out, 200, &sandbox()),
            "/outbound" => outbound::fetch(query, out),
            "/log" => log(query, out),

            "/spin" => spin(),
            "/allocate" => allocate(),
            "/resources" => leak_resources(),
            "/trap" => core::arch::wasm32::unreachable(),
            "/panic" => panic!("the guest panics on purpose"),
            "/silent" => drop(out),
            "/error" => ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some("no luck".into())))),
            "/never" => monotonic_clock::subscribe_duration(3_600_000_000_000).block(),
            "/cut" => cut(out),
            "/drip" => drip(out),
            "/short" => short(out),
            "/linger" => linger(out),
            _ => answer(out, 404, "no such behaviour"),
        }
    }
}

/// Sends back what comes, piece by piece, before the request is complete.
fn echo(request: &IncomingRequest, out: ResponseOutparam) {
    let incoming = request.consume().unwrap();
    let stream = incoming.stream().unwrap();
    let body = Body::begin(out, head(200, &[]));
    while let Ok(piece) = stream.blocking_read(65_536) {
        body.write(&piece);
    }
    drop(stream);
    body.finish(None);
}

fn many_headers(out: ResponseOutparam) {
    let names: Vec<_> = (0..200).map(|number| format!("x-header-{number}")).collect();
    let fields: Vec<_> = names.iter().map(|name| (name.as_str(), "value")).collect();
    Body::begin(out, head(200, &fields)).finish(None);
}

fn forbidden_header(out: ResponseOutparam) {
    let refused = Fields::new().append("connection", b"close").is_err();
    answer(out, 200, if refused { "refused" } else { "taken" });
}

fn trailers(out: ResponseOutparam) {
    let body = Body::begin(out, head(200, &[]));
    body.write(b"with trailers");
    let trailers = Fields::from_list(&[("x-checksum".into(), b"abc".to_vec())]).unwrap();
    body.finish(Some(trailers));
}

fn sandbox() -> String {
    let folders = filesystem::preopens::get_directories().len();
    let variables = cli::environment::get_environment().len();
    format!("folders {folders}, variables {variables}")
}

/// Writes the query to both standard streams, the last line without its end.
fn log(query: &str, out: ResponseOutparam) {
    let (stdout, stderr) = (cli::stdout::get_stdout(), cli::stderr::get_stderr());
    answer::print(&stdout, &format!("first {query}\nsecond"));
    answer::print(&stderr, &"long ".repeat(2_000));
    answer(out, 200, "logged");
}

fn spin() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

fn allocate() {
    let mut kept = Vec::new();
    loop {
        kept.push(vec![1_u8; 1 << 20]);
        core::hint::black_box(&kept);
    }
}

fn leak_resources() {
    loop {
        core::mem::forget(Fields::new());
    }
}

/// Announces more than it sends, and crashes in the middle.
fn cut(out: ResponseOutparam) {
    let body = Body::begin(out, head(200, &[]));
    body.write(b"half of ");
    core::arch::wasm32::unreachable()
}

fn drip(out: ResponseOutparam) {
    let body = Body::begin(out, head(200, &[]));
    loop {
        body.write(b"drip ");
        monotonic_clock::subscribe_duration(5_000_000).block();
    }
}

/// Ends its body before the announced length.
fn short(out: ResponseOutparam) {
    let body = Body::begin(out, head(200, &[("content-length", "100")]));
    body.write(b"not a hundred");
    body.finish(None);
}

/// Answers in full and then goes on for ever.
fn linger(out: ResponseOutparam) {
    answer(out, 200, "done");
    spin();
}
