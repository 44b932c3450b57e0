"""Rows of bits: Hamming and Jaccard search beside faiss and usearch."""
