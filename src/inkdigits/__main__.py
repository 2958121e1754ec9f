"""`python -m inkdigits`: the same as the command."""

from .app.cli import main

if __name__ == "__main__":
    main()
