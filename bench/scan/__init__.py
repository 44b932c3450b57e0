"""Scans of packed codes on one thread, against faiss: 4-bit product and 1-bit rotation codes."""
