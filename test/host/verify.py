"""Verifies each message in /lab/mail with dkimpy, and prints the selector or what is wrong."""
import pathlib
import re

import dkim

zone = dict(line.rstrip("\n").split(" ", 1) for line in open("/lab/zone"))
for file in pathlib.Path("/lab/mail").iterdir():
    message = file.read_bytes()
    signatures = re.findall(rb"^DKIM-Signature:(?:.*\n)(?:[ \t].*\n)*", message, re.M)
    if len(signatures) != 1:
        print(len(signatures), "signatures")
        continue
    selector = re.search(rb"[\s;]s=([^;\s]+)", signatures[0]).group(1).decode()
    good = dkim.verify(message, dnsfunc=lambda name, timeout=5: zone.get(name.decode().rstrip("."), "").encode())
    print(selector if good else "bad signature")
