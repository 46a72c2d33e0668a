# SPDX-License-Identifier: BSD-2-Clause
"""Two guests meet: barrier.py a|b NAME VALUE SECONDS prints the other guest's value. Guest a listens, b connects."""

import socket
import sys
import time

PORT = 7077


def meet(guest, name, value, seconds):
    """Exchanges "NAME\tVALUE" lines with the other guest; returns its value."""
    end = time.monotonic() + seconds
    mine = f"{name}\t{value}\n".encode()
    while time.monotonic() < end:
        try:
            if guest == "a":
                listener = socket.create_server(("10.77.0.1", PORT), reuse_port=True)
                listener.settimeout(end - time.monotonic())
                connection, _ = listener.accept()
                listener.close()
            else:
                connection = socket.create_connection(("10.77.0.1", PORT), timeout=2)
            with connection:
                connection.settimeout(max(1, end - time.monotonic()))
                connection.sendall(mine)
                line = connection.makefile().readline().rstrip("\n")
        except OSError:
            time.sleep(0.2)
            continue
        if not line:
            continue
        theirs, _, answer = line.partition("\t")
        if theirs != name:
            sys.exit(f"barrier {name}: the other guest is at {theirs}")
        return answer
    sys.exit(f"barrier {name}: the other guest did not come within {seconds} s")


print(meet(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])))
