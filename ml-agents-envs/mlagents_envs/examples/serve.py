"""`python -m mlagents_envs.examples.serve`, by which players have long been started; they live in `player/`."""

from mlagents_envs.player.serve import main

if __name__ == "__main__":
    raise SystemExit(main())
