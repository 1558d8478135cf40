"""Answers with the TXT records of /lab/zone: a name and a value on each line."""
import socket

import dns.message
import dns.rcode
import dns.rrset

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 5353))
while True:
    data, peer = server.recvfrom(4096)
    query = dns.message.from_wire(data)
    answer = dns.message.make_response(query)
    question = query.question[0]
    zone = dict(line.rstrip("\n").split(" ", 1) for line in open("/lab/zone"))
    value = zone.get(question.name.to_text(omit_final_dot=True))
    if value is None:
        answer.set_rcode(dns.rcode.NXDOMAIN)
    else:
        parts = " ".join('"%s"' % value[i:i + 255] for i in range(0, len(value), 255))
        answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", "TXT", parts))
    server.sendto(answer.to_wire(), peer)
