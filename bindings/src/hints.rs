//! How to get past each refusal.

/// A hint for the error with this name.
pub(crate) fn hint(name: &str) -> Option<&'static str> {
    let _ = name;
    None
}
