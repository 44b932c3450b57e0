"""Scans of packed codes, one thread, against faiss: 4-bit product codes and 1-bit rotation codes."""
