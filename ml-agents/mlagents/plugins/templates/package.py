"""the-name: a trainer for mlagents-learn."""
