//! Requests that two servers could read as two different things: refused, and never seen by the origin.

use std::time::Duration;

use e2e::{After, Origin};

use super::before;

/// What came of bytes that were sent as a request.
#[derive(Debug)]
struct Outcome {
    /// All that the proxy answered, until it closed or fell silent.
    answer: String,
    /// Requests that the origin saw whole, body included.
    whole: usize,
    /// Heads that the origin saw.
    heads: usize,
}

fn outcome(bytes: &[u8]) -> Outcome {
    let whole = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = whole.clone();
    let origin = Origin::start(move |exchange| {
        exchange.read_body()?;
        counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        exchange.answer(200, &[], b"x")?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let mut client = proxy.client();
    client.send(bytes);
    let answer = String::from_utf8_lossy(&client.drain(Duration::from_secs(2))).into_owned();
    let outcome =
        Outcome { answer, whole: whole.load(std::sync::atomic::Ordering::SeqCst), heads: origin.count() };
    assert_eq!(proxy.get("/a").status, 200, "others are served as before");
    outcome
}

/// Refused with 400 on sight: the origin sees nothing of it, and nothing after it is read as a request.
#[track_caller]
fn assert_refused(bytes: &[u8]) {
    let outcome = outcome(bytes);
    assert!(outcome.answer.starts_with("HTTP/1.1 400 "), "{outcome:?}");
    assert_eq!(outcome.heads, 0, "{outcome:?}");
    assert_eq!(outcome.answer.matches("HTTP/1.1 ").count(), 1, "{outcome:?}");
}

macro_rules! refused {
    ($($(#[$attribute:meta])* $name:ident: $bytes:expr;)*) => {
        $(
            #[test]
            $(#[$attribute])*
            fn $name() {
                assert_refused($bytes);
            }
        )*
    };
}

refused! {
    a_length_and_chunks_are_refused:
        b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /b HTTP/1.1\r\nhost: a\r\n\r\n";
    chunks_and_a_length_are_refused:
        b"POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\nGET /b HTTP/1.1\r\nhost: a\r\n\r\n";
    two_different_lengths_are_refused:
        b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!";
    two_equal_lengths_are_refused:
        b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello";
    a_list_of_lengths_is_refused:
        b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 5, 5\r\n\r\nhello";
    a_length_with_a_sign_is_refused:
        b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: +5\r\n\r\nhello";
    a_negative_length_is_refused:
        b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n";
    an_empty_length_is_refused:
        b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length:\r\n\r\n";
    a_length_that_is_no_number_of_64_bits_is_refused:
        b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 18446744073709551621\r\n\r\nhello";
    chunks_that_are_not_the_last_coding_are_refused:
        b"POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n";
    chunks_twice_are_refused:
        b"POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n";
    two_fields_of_transfer_coding_are_refused:
        b"POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    a_coding_that_nobody_knows_is_refused:
        b"POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n";
    another_coding_under_the_chunks_is_refused:
        b"POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n";
    a_coding_with_a_vertical_tab_is_refused:
        b"POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n";
    chunks_in_http_1_0_are_refused:
        b"POST /a HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    two_hosts_are_refused:
        b"GET /a HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n";
    no_host_is_refused:
        b"GET /a HTTP/1.1\r\n\r\n";
    a_host_with_a_path_is_refused:
        b"GET /a HTTP/1.1\r\nhost: a/b\r\n\r\n";
    a_host_with_a_user_is_refused:
        b"GET /a HTTP/1.1\r\nhost: a@b\r\n\r\n";
    a_list_of_hosts_is_refused:
        b"GET /a HTTP/1.1\r\nhost: a, b\r\n\r\n";
    a_space_before_a_colon_is_refused:
        b"POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n";
    a_tab_before_a_colon_is_refused:
        b"GET /a HTTP/1.1\r\nhost\t: a\r\n\r\n";
    a_folded_field_is_refused:
        b"GET /a HTTP/1.1\r\nhost: a\r\nx-folded: one\r\n two\r\n\r\n";
    a_folded_length_is_refused:
        b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length:\r\n 5\r\n\r\nhello";
    a_space_before_the_first_field_is_refused:
        b"GET /a HTTP/1.1\r\n x: y\r\nhost: a\r\n\r\n";
    bare_line_feeds_between_fields_are_refused:
        b"GET /a HTTP/1.1\r\nhost: a\nx-hidden: 1\r\n\r\n";
    a_head_in_bare_line_feeds_is_refused:
        b"GET /a HTTP/1.1\nhost: a\n\n";
    a_bare_carriage_return_is_refused:
        b"GET /a HTTP/1.1\r\nhost: a\r\nx: one\rx-hidden: two\r\n\r\n";
    a_nul_in_a_value_is_refused:
        b"GET /a HTTP/1.1\r\nhost: a\r\nx: one\0two\r\n\r\n";
    a_nul_in_a_name_is_refused:
        b"GET /a HTTP/1.1\r\nhost: a\r\nx\0y: one\r\n\r\n";
    a_control_character_in_a_value_is_refused:
        b"GET /a HTTP/1.1\r\nhost: a\r\nx: one\x01two\r\n\r\n";
    a_field_without_a_name_is_refused:
        b"GET /a HTTP/1.1\r\nhost: a\r\n: nothing\r\n\r\n";
    a_line_without_a_colon_is_refused:
        b"GET /a HTTP/1.1\r\nhost: a\r\nnothing\r\n\r\n";
    an_unknown_version_is_refused:
        b"GET /a HTTP/1.9\r\nhost: a\r\n\r\n";
    no_version_is_refused:
        b"GET /a\r\nhost: a\r\n\r\n";
    a_second_space_in_the_request_line_is_refused:
        b"GET  /a HTTP/1.1\r\nhost: a\r\n\r\n";
    a_space_in_the_target_is_refused:
        b"GET /a b HTTP/1.1\r\nhost: a\r\n\r\n";

    a_fragment_in_the_target_is_refused:
        b"GET /a#b HTTP/1.1\r\nhost: a\r\n\r\n";
    a_target_without_a_slash_is_refused:
        b"GET a HTTP/1.1\r\nhost: a\r\n\r\n";
}

/// Of a body that is no body the origin may have seen the head, since bodies stream; never the whole.
#[track_caller]
fn assert_broken_off(bytes: &[u8]) {
    let outcome = outcome(bytes);
    assert_eq!(outcome.whole, 0, "{outcome:?}");
    assert!(!outcome.answer.contains("HTTP/1.1 200 "), "{outcome:?}");
    let is_refused = outcome.answer.is_empty() || outcome.answer.starts_with("HTTP/1.1 400 ");
    assert!(is_refused, "the client's fault, not the server's: {outcome:?}");
}

macro_rules! broken_off {
    ($($(#[$attribute:meta])* $name:ident: $chunks:expr;)*) => {
        $(
            #[test]
            $(#[$attribute])*
            fn $name() {
                let head: &[u8] = b"POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
                assert_broken_off(&[head, $chunks].concat());
            }
        )*
    };
}

broken_off! {
    a_chunk_size_that_is_no_number_breaks_the_request_off: b"zz\r\nhello\r\n0\r\n\r\n";
    a_chunk_size_with_a_prefix_breaks_the_request_off: b"0x5\r\nhello\r\n0\r\n\r\n";
    a_negative_chunk_size_breaks_the_request_off: b"-5\r\nhello\r\n0\r\n\r\n";
    an_empty_chunk_size_breaks_the_request_off: b"\r\nhello\r\n0\r\n\r\n";
    a_chunk_size_over_64_bits_breaks_the_request_off: b"10000000000000005\r\nhello\r\n0\r\n\r\n";
    a_chunk_that_is_longer_than_its_size_breaks_the_request_off: b"5\r\nhello!\r\n0\r\n\r\n";
    a_chunk_that_ends_in_a_bare_line_feed_breaks_the_request_off: b"5\r\nhello\n0\r\n\r\n";
    a_chunk_size_that_ends_in_a_bare_line_feed_breaks_the_request_off: b"5\nhello\r\n0\r\n\r\n";
    a_bare_line_feed_in_a_chunk_extension_breaks_the_request_off: b"5;a\nb\r\nhello\r\n0\r\n\r\n";
    a_trailer_with_a_space_before_its_colon_breaks_the_request_off: b"5\r\nhello\r\n0\r\nx : y\r\n\r\n";
}
