//! An L1 endpoint, and how it may be named: URLs of providers hold API keys, which must not reach logs or errors.

use std::fmt::Display;

use alloy::{providers::RootProvider, transports::http::reqwest::Url};

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
        let text = redact_urls(&text.to_string());
        self.secrets.iter().fold(text, |text, secret| text.replace(secret.as_str(), "…"))
    }
}

fn name_of(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

/// `text` with only scheme, host and port of every URL in it.
fn redact_urls(text: &str) -> String {
    let (mut clean, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(colon) = rest.find("://") {
        let scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        let start = rest[..colon]
            .rfind(|c| !scheme(c))
            .map_or(0, |at| at + rest[at..].chars().next().map_or(0, char::len_utf8));
        let ends = |c: char| c.is_whitespace() || "()<>[]\"'`,;".contains(c);
        let end = rest[colon + 3..].find(ends).map_or(rest.len(), |at| colon + 3 + at);
        clean.push_str(&rest[..start]);
        match rest[start..end].parse::<Url>() {
            Ok(url) => clean.push_str(&name_of(&url)),
            Err(_) => clean.push('…'),
        }
        rest = &rest[end..];
    }
    clean.push_str(rest);
    clean
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
        assert_eq!(said, "error sending request for url (https://l1.example:8443): key … (…) of v2 is unknown");
    }

    #[test]
    fn any_url_in_a_text_is_cut() {
        let endpoint = Endpoint::new("http://127.0.0.1:8545").unwrap();
        let cut = |text: &str| endpoint.redact(&text);
        assert_eq!(cut("moved to <wss://a.b/c/d>, «http://x/y»"), "moved to <wss://a.b>, «http://x");
        assert_eq!(cut("http://a/1 http://b:2/3?4#5"), "http://a http://b:2");
        assert_eq!(cut("no url: a/b, ü://"), "no url: a/b, ü…");
        assert_eq!(cut(""), "");
    }

    #[test]
    fn what_is_no_endpoint_is_refused_unrepeated() {
        for bad in ["0123456789abcdef", "ftp://0123456789abcdef/", "http://", "://0123456789abcdef"] {
            let error = Endpoint::new(bad).unwrap_err().to_string();
            assert!(!error.contains("0123456789abcdef") && error.contains("http://"), "{error}");
        }
    }
}
