//! `rota-sequencer`: the node's command line.
fn main() {}
