//! Addresses of JSON-RPC endpoints often carry an API key in the path, the query or the user name: nothing that is printed
//! or logged may show more of them than scheme, host and port.

use std::io;

/// Schemes of endpoints.
const SCHEMES: [&str; 4] = ["https://", "http://", "wss://", "ws://"];

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
