"""Writes what a results file says into the README, the documentation and its figures."""
