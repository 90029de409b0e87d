"""A local Horizon for the demo, the tests and the benchmarks; nothing on it has any value."""
