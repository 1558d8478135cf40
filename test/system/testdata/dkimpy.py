"""Verify every signature of the messages in the files named on the command
line. One line per signature: file, d=, s=, a=, pass or what is wrong."""

import sys

import dkim

for path in sys.argv[1:]:
    with open(path, "rb") as f:
        message = f.read()
    try:
        parsed = dkim.DKIM(message)
    except dkim.MessageFormatError:
        continue  # to dkimpy it is no message: no verdict
    count = sum(name.lower() == b"dkim-signature" for name, _ in parsed.headers)
    for index in range(count):
        verifier = dkim.DKIM(message)
        try:
            result = "pass" if verifier.verify(idx=index) else "signature wrong"
        except Exception as error:  # of a broken field it may raise anything
            result = (str(error) or repr(error)).replace("\n", " ").replace("\t", " ")
        tags = [verifier.signature_fields.get(tag, b"?").decode() for tag in (b"d", b"s", b"a")]
        print("\t".join([path, *tags, result]))
