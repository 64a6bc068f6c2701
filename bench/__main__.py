"""``python -m bench``: grow a network, or sweep over many."""

from bench.cli import main

if __name__ == "__main__":
    main()
