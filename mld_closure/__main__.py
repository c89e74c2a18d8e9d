"""`python -m mld_closure` is `mld-closure`."""

from mld_closure.cli.main import main

if __name__ == "__main__":
    main()
