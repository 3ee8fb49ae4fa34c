"""`python -m rxfal`: the `rxfal` command where its script is not on the path."""

from rxfal.cli import main

if __name__ == "__main__":
    main()
