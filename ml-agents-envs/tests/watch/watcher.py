"""`mlagents-watch` in a process of its own."""

import os
import signal
import subprocess
import sys

PROGRAM = """
import signal, sys
from mlagents_envs.watch.command import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background of a shell would ignore it
sys.exit(main())
"""


class Watcher:
    """Runs until `end`; first_line: of its output, with the address."""

    def __init__(self, *arguments):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        if os.name == "nt":
            options["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP
        self.process = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments, "--no-browser"], **options)
        self.first_line = self.process.stdout.readline()
        self.address = self.first_line.rpartition(": ")[2].strip()

    def end(self):
        """End it as Ctrl-C does, and return its whole output, and its errors."""
        self.process.send_signal(signal.CTRL_BREAK_EVENT if os.name == "nt" else signal.SIGINT)
        try:
            out, err = self.process.communicate(timeout=60)
        finally:
            self.process.kill()
        return self.first_line + out, err
