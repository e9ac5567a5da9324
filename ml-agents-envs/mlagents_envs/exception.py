"""The exceptions of this package.

UnityException
├── UnityEnvironmentException          the environment could not be made, or is used before it is ready
│   └── UnknownExampleException        no example environment of that name
├── UnityCommunicationException        a message could not be decoded
├── UnityCommunicatorStoppedException  the player asked to stop
├── UnityObservationException          an observation has another shape than its specification
├── UnityActionException               actions have another shape than the action spec
├── UnityTimeOutException              the player did not answer in time
├── UnitySideChannelException          a side channel was misused
├── UnityWorkerInUseException          the port of a worker is taken
├── UnityPolicyException               a policy cannot be made for this behavior
└── DemonstrationException             a .demo file cannot be read, or a record not be written (also a RuntimeError)
"""

from __future__ import annotations


class UnityException(Exception):
    """Any error of this package."""


class UnityEnvironmentException(UnityException):
    """The environment could not be made, or is used before it is ready."""


class UnknownExampleException(UnityEnvironmentException):
    """There is no example environment of that name."""


class UnityCommunicationException(UnityException):
    """A message of the player could not be decoded."""


class UnityCommunicatorStoppedException(UnityException):
    """The player asked to stop."""


class UnityObservationException(UnityException):
    """An observation has another shape than its specification."""


class UnityActionException(UnityException):
    """Actions have another shape than the action spec."""


class UnityTimeOutException(UnityException):
    """The player did not answer in time."""


class UnitySideChannelException(UnityException):
    """A side channel was misused."""


class UnityWorkerInUseException(UnityException):
    """The port of a worker is taken."""

    def __init__(self, worker_id: int, why: str = "its port is still in use") -> None:
        super().__init__(f"worker {worker_id}: {why}; close it, or choose another base_port or worker_id")


class UnityPolicyException(UnityException):
    """A policy cannot be made for this behavior."""


class DemonstrationException(UnityException, RuntimeError):
    """A .demo file cannot be read, or a record cannot be written into one."""
