"""``python -m vicinal`` is the command ``vicinal``."""

from __future__ import annotations

from vicinal.cli import main

if __name__ == "__main__":
    main()
