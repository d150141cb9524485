//! Addresses of JSON-RPC endpoints. They often carry an API key in the path, the query or the user name, so nothing
//! that is printed or logged shows more of them than scheme, host and port.

use std::{convert::Infallible, fmt, io, str::FromStr};

use eyre::{Result, ensure, eyre};
use reqwest::Url;

/// Schemes that the providers understand.
const SCHEMES: [&str; 4] = ["https://", "http://", "wss://", "ws://"];

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

/// `text` with every URL cut down to scheme, host and port; `/…` stands for what was left out. For messages of libraries,
/// which repeat the whole URL.
pub fn hide_keys(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((start, scheme)) =
        SCHEMES.iter().filter_map(|scheme| Some((find(rest, scheme)?, *scheme))).min_by_key(|(start, _)| *start)
    {
        let (before, url) = rest.split_at(start);
        // Up to the next space, without the punctuation of the sentence around it.
        let word = url.split(char::is_whitespace).next().unwrap_or_default();
        let word = word.trim_end_matches([')', ']', '}', '>', '"', '\'', '`', ',', '.', ';', ':']);
        // The slashes of the scheme always stay.
        let (url, after) = url.split_at(word.len().max(scheme.len()));
        let (scheme, address) = url.split_at(scheme.len());
        let authority = address.split(['/', '\\', '?', '#']).next().unwrap_or_default();
        // The last `@` ends the user name and password.
        let host = authority.rsplit('@').next().unwrap_or_default();
        let cut = address.get(authority.len()..).unwrap_or_default();
        let hidden = !matches!(cut, "" | "/") || host.len() < authority.len();
        shown.extend([before, scheme, host, if hidden { "/…" } else { cut }]);
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// Where `scheme` begins in `text`, whatever the case of its letters.
fn find(text: &str, scheme: &str) -> Option<usize> {
    text.as_bytes().windows(scheme.len()).position(|window| window.eq_ignore_ascii_case(scheme.as_bytes()))
}

/// Passes lines on without the keys in their URLs: logs of libraries show whole URLs, too.
#[derive(Debug)]
pub struct WithoutKeys<W>(pub W);

impl<W: io::Write> io::Write for WithoutKeys<W> {
    // The logger writes one event at a time.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write_all(hide_keys(&String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

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

    #[test]
    fn urls_in_messages_are_cut_and_the_rest_is_kept() {
        for (text, shown) in [
            ("for url (https://h.org/SECRET): refused", "for url (https://h.org/…): refused"),
            ("a wss://h/SECRET\nb \"http://u:SECRET@h:1\" c", "a wss://h/…\nb \"http://h:1/…\" c"),
            ("no answer from http://127.0.0.1:1: is it", "no answer from http://127.0.0.1:1: is it"),
            ("http:// https://", "http:// https://"),
            ("ünïcode, no URL", "ünïcode, no URL"),
            ("https://h/SECRET?x=https://g/SECRET", "https://h/…"),
            ("{'url':'https://h/SE)C'RET','x':1}", "{'url':'https://h/…}"),
            ("https:\\\\h", "https:\\\\h"),
        ] {
            assert_eq!(hide_keys(text), shown);
        }
    }

    #[test]
    fn logs_pass_through_without_keys() {
        let mut log = WithoutKeys(Vec::new());
        log.write_all(b"WARN asking https://h.org/SECRET failed\n").unwrap();
        assert_eq!(String::from_utf8(log.0).unwrap(), "WARN asking https://h.org/… failed\n");
    }
}
