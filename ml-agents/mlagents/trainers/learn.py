"""The old door: `mlagents.trainers.learn:main` is where earlier releases kept their command."""

from mlagents.learn import main

__all__ = ["main"]

if __name__ == "__main__":
    raise SystemExit(main())
