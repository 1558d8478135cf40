package main

const checkDescription = `Looks at what is published for each domain, compares it with the key directory,
and ends with one sentence on whether mail from the domain will pass DMARC.
Nothing is sent and nothing is changed. Checked are

   keys    each key's record, as signpostd chooses the keys that sign; where a
           record is missing, the places where it may have landed by mistake
   SPF     the record and all that it includes, and what it says of each address
           that sends, with the look-ups that this takes
   DMARC   the policy in force (RFC 9989), who gets its reports, and whether the
           signing domain and the envelope sender's domain are aligned
   MX      where bounces and answers go
   host    the PTR records of the sending addresses, the way back from them, and
           the HELO name

Mail is taken to come from the public addresses of this host or, where it has
none, as in a container, from the addresses of the domain's MX. The HELO name is
what this host's Postfix says of itself, and not known when that is not where
mail comes from. Say otherwise with --from-ip and --helo.

A domain that is locked with what "signpost dns --no-mail" prints, and has no
key, is checked for that: it will not pass, and that is no fault.

With --authoritative every name server of the domain's zone is asked by itself:
a change shows at once, and so do servers that differ or do not answer.

Each finding has what is wrong, what that causes, and what to publish or to do.
Its level is fault (mail is refused or taken for forged, or will be), unknown
(it could not be found out), warning (it works, and is weak or may break) or
note. A question that the DNS does not answer is always unknown: time-out,
SERVFAIL, REFUSED, an unreachable server, an answer cut off or broken are told
apart and never mean "not published". The exit code is 1 with a fault, else 3
with something unknown, else 1 with a warning; notes do not count.

Each reply is waited for as long as --timeout says, each domain 20 times as long
at the most, and a resolver that never replies is soon given up.

examples:
   $ signpost check --from-ip 192.0.2.1 --helo mail.example.org example.org
   example.org
   good: s1._domainkey.example.org: the key of /etc/opendkim/keys/example.org/s1.private
     is published (rsa, 2048 bits), and active: signs
   good: example.org: the SPF record is valid: v=spf1 mx -all (1 of 10 look-ups in all)
   good: example.org: SPF passes for 192.0.2.1 by mx (1 of 10 look-ups, 0 of 2 without
     result)
   good: example.org: the DMARC policy is reject, by p= of the record at
     _dmarc.example.org
   ...
   mail from example.org will pass DMARC because its signature verifies with the
     published key of selector s1 and is aligned (d=example.org), and SPF passes for
     192.0.2.1 and is aligned

   $ signpost check --from-ip 192.0.2.9 example.org
   ...
   fault: s1._domainkey.example.org: the record is at
     s1._domainkey.example.org.example.org: the name of the zone was added twice
      verifiers find no key, so every signature with this key fails
      hint: give only s1._domainkey as the name, or end the full name with a dot; the
     record at s1._domainkey.example.org is:
   v=DKIM1; h=sha256; k=rsa; s=email; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A...
   fault: example.org: SPF says fail for 192.0.2.9, by all (1 of 10 look-ups, 0 of 2
     without result)
      receivers take mail from this address for forged, unless DKIM speaks for it
      hint: if mail is meant to come from 192.0.2.9, publish this TXT record at
     example.org, in one line and without quotes:
   v=spf1 mx ip4:192.0.2.9 -all
   ...

   $ signpost check --authoritative example.org example.net
   $ signpost check --resolver 192.0.2.53 --json example.org

json:
   {
     "domains": [                      in the order given
       {
         "domain": "example.org",      as A-labels
         "passes": "yes",              the verdict: or "no", or "unknown"
         "verdict": "mail from example.org will pass DMARC because ...",
         "good": [                     what was checked and is as it should be
           {"name": "192.0.2.1", "what": "its PTR record says mail.example.org, ..."}
         ],
         "findings": [
           {
             "code": "dkim-missing",   stays the same from version to version
             "level": "fault",         or "unknown", "warning", "note"
             "name": "s1._domainkey.example.org",
             "what": "the name does not exist in the DNS",
             "effect": "verifiers find no key, ...",       absent where there is none
             "fix": "publish this TXT record at ..., ...:\nv=DKIM1; ..."     the same
           }
         ]
       }
     ]
   }`
