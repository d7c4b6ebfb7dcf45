"""`python -m loopline` is `loopline`."""

from loopline.shells.cli import main

if __name__ == "__main__":
    main()
