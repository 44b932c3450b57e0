"""Clustering beside the packages people use today."""
