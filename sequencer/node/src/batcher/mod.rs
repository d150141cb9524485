//! Posting of sealed batches to L1.
