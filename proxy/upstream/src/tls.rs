use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};

/// The client side of TLS: the system's roots, verification always on.
pub(crate) fn client_config() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    CONFIG
        .get_or_init(|| {
            let mut roots = RootCertStore::empty();
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "a system root certificate could not be read");
            }
            let (_taken, refused) = roots.add_parsable_certificates(found.certs);
            if refused > 0 {
                tracing::warn!(refused, "system root certificates could not be parsed");
            }
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let mut config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap_or_else(|error| unreachable!("the provider's own versions are supported: {error}"))
                .with_root_certificates(roots)
                .with_no_client_auth();
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Arc::new(config)
        })
        .clone()
}
