use http_body::Body as _;

use crate::{Body, Request};

/// The same request once more, if it has no body: what is needed to send it again or elsewhere. Whether
/// its method allows that is for the caller to say.
pub fn duplicate(request: &Request) -> Option<Request> {
    request.body().is_end_stream().then(|| {
        let mut copy = Request::new(Body::empty());
        *copy.method_mut() = request.method().clone();
        *copy.uri_mut() = request.uri().clone();
        *copy.version_mut() = request.version();
        *copy.headers_mut() = request.headers().clone();
        copy
    })
}
