//! `benches/run`.
fn main() {}
