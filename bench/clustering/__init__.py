"""Clustering beside the packages people use today, and what balanced lists cost a search."""
