"""As many milter sessions as there may be, each in the middle of a message over a restart."""
import os
import socket
import struct
import time


def frame(command, payload=b""):
    return struct.pack(">I", len(payload) + 1) + command + payload


sessions = []
for n in range(990):
    s = socket.socket(socket.AF_UNIX)
    s.connect("/var/spool/postfix/signpost/milter")
    s.settimeout(30)
    s.sendall(frame(b"O", struct.pack(">III", 6, 0x1FF, 0x1FFFFF)) +
              frame(b"C", b"x\0004" + struct.pack(">H", 1025) + b"192.0.2.%d\0" % (n % 250)) +
              frame(b"D", b"M{auth_authen}\0user%d\0" % n) + frame(b"M", b"<a@example.org>\0"))
    s.recv(64)
    sessions.append(s)
open("/lab/crowded", "w").close()
while not os.path.exists("/lab/disperse"):
    time.sleep(0.05)
for s in sessions:
    s.sendall(frame(b"L", b"From\0 a@example.org\0") + frame(b"E"))
    if b"DKIM-Signature\0" not in s.recv(4096):
        raise SystemExit("not signed")
