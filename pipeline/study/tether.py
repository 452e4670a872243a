"""python -I -S tether.py PARENT COMMAND...: become COMMAND, and get SIGTERM when the process PARENT ends in any way.

A script of its own, which imports nothing of the project: the study's processes have many threads, so nothing may run
between fork and exec (`preexec_fn`). Linux only.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG, SIGTERM = 1, 15

if __name__ == "__main__":
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGTERM)
    if os.getppid() != parent:  # it has ended already
        sys.exit(128 + SIGTERM)
    os.execv(command[0], command)
