package main

const explainDescription = `Lets the code of signpostd decide on a message, from each FILE or from standard
input, that a client hands in. The settings are those of signpostd: give it the same
variables and flags. It says with what the message would be signed, or because of
what not, which setting decides that, what to change, and the line that signpostd
would log. The message is really signed, in memory; no mail is sent.

Where a domain has several keys the DNS is asked which of them are published, for
with --dns-check the newest of those signs. With --daemon a running signpostd says
what it signs with.

Then it says what happens to the message on its way that breaks the signature: lines
that Postfix breaks, 8-bit content that it converts, checks and maps that change
header or body after signing, a content filter, fields that somebody may add. It
goes by the defaults of Postfix, or by the main.cf that --postfix names; the tables
in it are asked with postmap. The codes of these findings begin with "path-".

Lines of the message may end in LF, as programs save them. Where Postfix changes a
message before the milter sees it, such as to add a From field, give the message as
it is after that.

It exits with 0 when all messages are signed and nothing is found that breaks or
endangers a signature, with 1 when not, and with 3 when there is no key directory to
look into.

examples:
   $ signpost explain letter.eml
   letter.eml: signed
      because    the client 127.0.0.1 is in the trusted networks, and there is a key for the
                 author domain example.org
      setting    --trusted-networks [$SIGNPOST_TRUSTED_NETWORKS] is 127.0.0.0/8, 10.0.0.0/8,
                 172.16.0.0/12, 192.168.0.0/16, ::1/128, fc00::/7, fe80::/10 (default)
      with       d=example.org s=s1, rsa-sha256, 2048 bits, relaxed/relaxed, key
                 /etc/opendkim/keys/example.org/s1.private
      signs      From, Subject, Date, Message-ID, To
      oversigns  from, reply-to, subject, date, to, cc, mime-version, content-type,
                 content-transfer-encoding
      log        level=INFO msg="NOQUEUE: DKIM-Signature field added (s=s1, d=example.org)"
                 queue=NOQUEUE client=127.0.0.1 from=example.org
      postfix    the defaults of Postfix

   $ signpost explain letter.eml --client 192.0.2.1
   letter.eml: not signed: untrusted-client
      because    the client 192.0.2.1 did not log in and is not in the trusted networks
      setting    --trusted-networks [$SIGNPOST_TRUSTED_NETWORKS] is 127.0.0.0/8, 10.0.0.0/8,
                 172.16.0.0/12, 192.168.0.0/16, ::1/128, fc00::/7, fe80::/10 (default)
      hint:      let the client log in (SMTP AUTH), or add its network to --trusted-networks
      log        level=INFO msg="NOQUEUE: not signed" queue=NOQUEUE client=192.0.2.1
                 from=example.org reason=untrusted-client
      postfix    the defaults of Postfix

   $ signpost explain --postfix /etc/postfix --show-signature --client local < letter.eml

json:
   {
     "messages": [
       {
         "file": "letter.eml",
         "signed": true,
         "tempfail": false,
         "reason": "signed",
         "why": "the client 127.0.0.1 is in the trusted networks, and ...",
         "setting": {
           "flag": "--trusted-networks",
           "variables": ["SIGNPOST_TRUSTED_NETWORKS"],
           "value": "127.0.0.0/8,10.0.0.0/8,...",
           "from": "default"
         },
         "author_domain": "example.org",
         "signatures": [
           {
             "domain": "example.org",
             "selector": "s1",
             "algorithm": "rsa-sha256",
             "bits": 2048,
             "file": "/etc/opendkim/keys/example.org/s1.private",
             "canonicalization": "relaxed/relaxed",
             "signed_fields": ["From", "Subject", "Date", "Message-ID", "To"],
             "oversigned_fields": ["from", "reply-to", "subject"],
             "field": "DKIM-Signature: v=1; a=rsa-sha256; ..."
           }
         ],
         "keys": [
           {"selector": "s1", "stage": "active", "dns": "published"},
           {"selector": "s2", "stage": "pending", "dns": "no such name"}
         ],
         "log": "level=INFO msg=...",
         "postfix": "the defaults of Postfix",
         "findings": [
           {
             "code": "path-line-length",
             "level": "fault",
             "name": "body",
             "what": "line 8 has 1200 bytes; Postfix breaks lines of more than 998 ...",
             "effect": "the signature breaks",
             "fix": "send the text as quoted-printable or base64, or with shorter lines"
           }
         ]
       }
     ]
   }

   "setting" is null where none decides, and "hint" says what to change where the
   message is not signed. "reason" is one of signed, untrusted-client,
   header-too-large, from-missing, from-multiple, from-invalid, no-key, key-broken and
   sign-failed.`
