"""`python -m mlagents.doctor` is `mlagents-doctor`, where scripts are not on the path."""

from mlagents.doctor.command import main

raise SystemExit(main())
