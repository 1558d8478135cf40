"""Says which author domains Python's email package reads from a header.

Each line of the input is a header in base64, each line of the answer a JSON
object: the domains by way of reading, most of which programs are seen to use."""

import base64
import json
import sys
from email import message_from_string, policy
from email.header import decode_header, make_header
from email.utils import getaddresses, parseaddr


def domains(addresses):
    return [address.rpartition("@")[2] for address in addresses if "@" in address]


def message(header, **how):
    # Of bytes the package keeps only ASCII; programs for international mail decode first.
    return message_from_string(header.decode(errors="surrogateescape"), **how)


def modern(header):
    fields = message(header, policy=policy.default).get_all("from", [])
    return [a.domain for field in fields for a in field.addresses if a.domain]


def old(header):
    return [str(value) for value in message(header).get_all("from", [])]


def mapped(domain):
    """What IDNA2003 of the standard library makes of a domain."""
    return domain if domain.isascii() else domain.encode("idna").decode()


WAYS = {
    "policy": modern,
    "parseaddr": lambda header: domains(parseaddr(value)[1] for value in old(header)),
    "getaddresses": lambda header: domains(a for _, a in getaddresses(old(header))),
    "idna2003": lambda header: [mapped(d) for d in domains(a for _, a in getaddresses(old(header)))],
}

for line in sys.stdin:
    header = base64.b64decode(line)
    answer = {}
    for name, way in WAYS.items():
        try:
            answer[name] = way(header)
        except Exception:  # it raises many kinds; then it reads nothing
            answer[name] = []
    print(json.dumps(answer), flush=True)
