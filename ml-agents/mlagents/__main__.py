"""`python -m mlagents` is `mlagents-learn`, where scripts are not on the path."""

from mlagents.learn import main

raise SystemExit(main())
