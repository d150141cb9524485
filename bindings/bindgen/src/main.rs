//! Placeholder while the workspace is assembled.
fn main() {}
