"""Recall against single-thread throughput, for vicinal and the libraries people use today."""
