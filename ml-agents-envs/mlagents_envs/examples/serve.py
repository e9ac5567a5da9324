"""`python -m mlagents_envs.examples.serve`, the earlier name of `mlagents_envs.player.serve`."""

from mlagents_envs.player.serve import main

if __name__ == "__main__":
    raise SystemExit(main())
