"""`python -m corpus` is the `corpus` command."""

from corpus.cli import main

if __name__ == "__main__":
    main()
