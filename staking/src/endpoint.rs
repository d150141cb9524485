//! Addresses of JSON-RPC endpoints. They often carry an API key in the path, the query or the user name, so nothing
//! that is printed or logged shows more of them than scheme, host and port.

use std::{convert::Infallible, fmt, str::FromStr};

use eyre::{Result, ensure, eyre};
use reqwest::Url;
use rota_bindings::redact::hide_keys;

/// The address of a JSON-RPC endpoint; shown and debugged without what may be a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// The whole address, for connecting only.
    ///
    /// # Errors
    /// When it is no http(s) or ws(s) address. The error does not repeat it: it may hold a key all the same.
    pub fn url(&self) -> Result<&str> {
        let parsed = Url::parse(&self.0).map_err(|error| {
            eyre!("the given endpoint is not a URL ({error}): write it as https://host/… or http://127.0.0.1:8545")
        })?;
        ensure!(
            matches!(parsed.scheme(), "http" | "https" | "ws" | "wss") && parsed.has_host(),
            "an endpoint with scheme '{}' is not supported: use http, https, ws or wss",
            parsed.scheme()
        );
        Ok(&self.0)
    }
}

impl From<String> for Endpoint {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl FromStr for Endpoint {
    type Err = Infallible;

    // Checked by `url`: an error of the argument parser would repeat the value.
    fn from_str(url: &str) -> Result<Self, Infallible> {
        Ok(Self(url.to_owned()))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.url() {
            Ok(url) => f.write_str(&hide_keys(url)),
            Err(_) => f.write_str("(not a URL)"),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scheme_host_and_port_are_shown() {
        for (url, shown) in [
            ("https://mainnet.example.org/v3/SECRET", "https://mainnet.example.org/…"),
            ("https://user:SECRET@example.org", "https://example.org/…"),
            ("https://user:SECRET@SECRET@example.org:8545/", "https://example.org:8545/…"),
            ("wss://example.org:443?apikey=SECRET", "wss://example.org:443/…"),
            ("HTTPS://example.org/SECRET", "HTTPS://example.org/…"),
            ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
            ("http://[::1]:8545/", "http://[::1]:8545/"),
            ("mainnet.example.org/v3/SECRET", "(not a URL)"),
            ("file:///SECRET", "(not a URL)"),
        ] {
            let endpoint: Endpoint = url.parse().unwrap();
            assert_eq!(endpoint.to_string(), shown, "{url}");
            assert_eq!(format!("{endpoint:?}"), shown, "{url}");
            let error = endpoint.url().err().map(|error| format!("{error:#} {error:?}")).unwrap_or_default();
            assert!(!error.contains("SECRET"), "{error}");
        }
    }
}
