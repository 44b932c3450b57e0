"""vicinal in other people's benchmarks."""
