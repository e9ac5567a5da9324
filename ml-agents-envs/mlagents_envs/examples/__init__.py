"""Unity's example environments, in process."""
