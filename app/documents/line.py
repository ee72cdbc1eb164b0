"""What goes over the sockets between a worker, its helper and the examiners: both sides read it from here.

The standard library alone: whoever starts the helper has no use for what the helper loads.
"""

import struct

# Sent with a socket: which examiner is to be forked for it.
QUICK, IDLE = b"q", b"i"
# What is answered: its process id.
PID = struct.Struct("!i")
# Before each message to and from an examiner: its length in bytes.
LENGTH = struct.Struct("!I")
