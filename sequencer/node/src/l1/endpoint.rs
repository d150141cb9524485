//! An L1 endpoint, and how it may be named: URLs of providers hold API keys, which must not reach logs or errors.

use std::fmt::Display;

use alloy::{providers::RootProvider, transports::http::reqwest::Url};
use rota_bindings::redact::hide_keys;

use super::L1Error;

/// Shorter parts of a URL are words like `v2` and no secrets.
const SECRET: usize = 8;

/// A JSON-RPC endpoint over HTTP.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) provider: RootProvider,
    /// Scheme, host and port.
    pub(super) name: String,
    /// What its URL holds besides.
    secrets: Vec<String>,
}

impl Endpoint {
    /// The endpoint at `url`.
    ///
    /// # Errors
    /// Not an HTTP URL. The error does not repeat it.
    pub(super) fn new(url: &str) -> Result<Self, L1Error> {
        let unusable = |reason: &dyn Display| L1Error::Endpoint(format!("{reason}; give an http:// or https:// URL"));
        let url: Url = url.parse().map_err(|error| unusable(&error))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(unusable(&format_args!("unknown scheme {:?}", url.scheme())));
        }
        let segments = url.path_segments().into_iter().flatten();
        let values: Vec<_> = url.query_pairs().map(|(_, value)| value.into_owned()).collect();
        let mut secrets: Vec<String> = segments
            .chain([url.username(), url.password().unwrap_or_default(), url.query().unwrap_or_default()])
            .chain(values.iter().map(String::as_str))
            .filter(|part| part.len() >= SECRET)
            .map(Into::into)
            .collect();
        // A secret inside a longer one goes with it.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Ok(Self { name: name_of(&url), secrets, provider: RootProvider::new_http(url) })
    }

    /// `text` without the secrets of this endpoint, and without more of any URL than scheme, host and port.
    pub(super) fn redact(&self, text: &impl Display) -> String {
        let text = hide_keys(&text.to_string());
        self.secrets.iter().fold(text, |text, secret| text.replace(secret.as_str(), "…"))
    }
}

fn name_of(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_named_without_its_secrets() {
        let endpoint =
            Endpoint::new("https://user:password1@l1.example:8443/v2/0123456789abcdef?key=topsecret").unwrap();
        assert_eq!(endpoint.name, "https://l1.example:8443");
        let said = endpoint.redact(
            &"error sending request for url (https://user:password1@l1.example:8443/v2/0123456789abcdef?key=topsecret): \
              key 0123456789abcdef (topsecret) of v2 is unknown",
        );
        assert_eq!(said, "error sending request for url (https://l1.example:8443/…): key … (…) of v2 is unknown");
    }

    #[test]
    fn what_is_no_endpoint_is_refused_unrepeated() {
        for bad in ["0123456789abcdef", "ftp://0123456789abcdef/", "http://", "://0123456789abcdef"] {
            let error = Endpoint::new(bad).unwrap_err().to_string();
            assert!(!error.contains("0123456789abcdef") && error.contains("http://"), "{error}");
        }
    }
}
