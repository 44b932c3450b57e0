"""Time to cluster, beside faiss, and what balanced lists cost a search."""
