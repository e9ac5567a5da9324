"""`python -m mlagents_envs.examples.check`, as examples have long been checked; the check lives in `fidelity/`."""

from mlagents_envs.fidelity.check import main

if __name__ == "__main__":
    raise SystemExit(main())
