"""`python -m stratagem` is the command `stratagem`."""

from stratagem.cli import main

if __name__ == "__main__":
    main()
