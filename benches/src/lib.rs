//! Compute-unit benchmarks of the compiled program.
