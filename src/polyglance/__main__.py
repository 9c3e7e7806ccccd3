"""`python -m polyglance` is the command `polyglance`."""

from polyglance.cli import main

if __name__ == "__main__":
    main()
