"""Recall per byte: vicinal's codecs beside those of faiss, on the same rows and queries."""
