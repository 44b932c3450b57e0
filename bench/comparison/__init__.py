"""Two revisions side by side: what got slower or faster beyond the noise of this machine."""
