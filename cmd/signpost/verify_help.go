package main

const verifyDescription = `Reads a message as it was received, from each FILE or from standard input, and
says of every DKIM signature whether it verifies or where it breaks: the body
hash, the header, the key, the time. Then it checks SPF and DMARC with it, and
gives the Authentication-Results field that a receiver would add. Line ends may
be LF, as programs save them; a "From " line of an mbox is left out.

SPF needs the client and the envelope sender. They are taken from the top
Received field that tells of a client outside, and from Return-Path.

With --keys or --record no DNS is asked. The file may be what opendkim-genkey
writes, a zone file, the output of dig, or one bare record, with --name or else
taken for the key of each signature. What it does not have is "not looked up",
and then an aligned signature that verifies is enough.

It exits with 0 when DMARC passes, or where there is no policy, when what is
aligned with the author passes; with 1 when not, and with 3 when the DNS did
not tell.

Signatures are judged as the strict reading of RFC 6376, 8301 and 8463 has it:
rsa-sha1 and keys under 1024 bits do not pass. A signature with l= passes, with
a warning. What is said of how a message was changed has been tried out: the
signature or the hash matches when the change is undone.

examples:
   $ signpost verify message.eml
   note: header: lines end in LF and are read as CRLF, as in transit
   DKIM: pass: example.org, selector s1, ed25519-sha256 relaxed/relaxed; aligned with From
   SPF: pass: 192.0.2.25 for joe@example.org, by ip4:192.0.2.0/24; aligned with From
      the client is the one in the Received field at line 2
      MAIL FROM is the Return-Path at line 1
   DMARC: pass: p=reject at _dmarc.example.org
   Authentication-Results: mx.example.net;
   	dkim=pass header.a=ed25519-sha256 header.b=J3pgGrtQ header.d=example.org header.s=s1;
   	spf=pass smtp.helo=mail.example.org smtp.mailfrom=joe@example.org;
   	dmarc=pass header.from=example.org
   This message passes DMARC for example.org, because the DKIM signature of
   example.org and SPF for example.org pass and are aligned.

   $ signpost verify --record s1.txt footer.eml
   note: header: lines end in LF and are read as CRLF, as in transit
   DKIM: fail: example.org, selector s1, ed25519-sha256 relaxed/relaxed, at line 5
      the body was changed after it was signed: its hash is not the one in bh=
      up to line 21 all is as it was signed: what follows, such as the footer of
      a mailing list, was added later
      the header and the key are good: only the body was changed
   ...

   $ signpost verify --keys /etc/opendkim/keys - <message.eml
   $ signpost verify --ip 192.0.2.25 --mail-from joe@example.org message.eml

json:
   {
     "messages": [
       {
         "file": "message.eml",
         "verdict": "pass",            // or "fail", "unknown"
         "sentence": "This message passes DMARC for example.org, because ...",
         "notes": [],                  // about the file
         "signatures": [
           {
             "line": 5, "domain": "example.org", "selector": "s1",
             "identity": "@example.org",           // i=, when there is one
             "algorithm": "ed25519-sha256", "canonicalization": "relaxed/relaxed",
             "key_bits": 2048,                     // of an RSA key
             "signed": ["from", "subject"],        // h=
             "time": "2023-11-14T22:13:20Z", "expires": "...",
             "result": "pass",  // fail, policy, neutral, temperror, permerror
             "where": "body",   // syntax, algorithm, body, header, key, time, dns
             "reason": "...", "notes": [], "aligned": true
           }
         ],
         "spf": {
           "result": "pass",    // RFC 7208, section 2.6; empty when not checked
           "reason": "...", "ip": "192.0.2.25", "helo": "mail.example.org",
           "sender": "joe@example.org", "domain": "example.org",
           "record": "v=spf1 ...", "term": "ip4:192.0.2.0/24",
           "lookups": 0, "void_lookups": 0, "aligned": true
         },
         "dmarc": {
           "result": "pass",    // fail, none, temperror, permerror
           "reason": "...", "author_domain": "example.org",
           "organizational_domain": "example.org",
           "name": "_dmarc.example.org", "record": "v=DMARC1; p=reject",
           "tag": "p", "published_policy": "reject", "policy": "reject",
           "aligned_dkim": ["example.org"], "aligned_spf": "example.org",
           "disposition": "none"  // what the domain asks for: quarantine, reject
         },
         "authentication_results": "mx.example.net; dkim=pass ..."
       }
     ]
   }`
