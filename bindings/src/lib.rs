//! Placeholder while the workspace is assembled.
