"""Where earlier releases kept what programs import: the command and the version."""

from mlagents import __version__ as __version__
