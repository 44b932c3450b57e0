"""Real data for benchmarks, made from what ships in the repository or from public sets."""
