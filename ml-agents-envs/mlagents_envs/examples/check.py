"""`python -m mlagents_envs.examples.check`, the earlier name of `mlagents_envs.fidelity.check`."""

from mlagents_envs.fidelity.check import main

if __name__ == "__main__":
    raise SystemExit(main())
