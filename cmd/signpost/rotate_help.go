package main

const rotateDescription = `Makes a new key beside the one that signs, and prints the record to publish.
signpostd goes on signing with the old key until the new record is at all name
servers of the zone, and then changes over by itself, so no mail is signed that the
world cannot verify. The old record must stay for the mail under way, a week as
--overlap says; then --finish moves the old private key to .retired in the key
directory and prints what to take out of the DNS.

Each step can be stopped and taken up again, on any host that has the key directory.
How far a domain is stands in <domain>/.rotation there. A second run makes no second
key: it prints the record again. --status makes and moves nothing; with --daemon it
shows the stages as a running signpostd has them, which also knows what it signed
with before.

With --due only domains are begun whose keys are older than --interval, which is for
cron:

   0 4 * * *  signpost rotate --all --due && signpost rotate --all --finish

Who may update the zone can let it all happen: with --publish and a key of the name
server (TSIG; BIND, Knot and PowerDNS take dynamic updates, RFC 2136) records are put
into the DNS and taken out, and --auto does whatever step is next. When that fails
nothing else changes, and the next run tries again:

   0 4 * * *  signpost rotate --all --auto --publish rfc2136:server=ns1.example.org,key-file=/etc/signpost/tsig.key

It also works through the API of a provider. A token is read from a file, and should
be good for these zones alone; Route 53 takes the credentials that the AWS tools
take. Each kind takes zone=ZONE, which is else looked up:

   --publish cloudflare:token-file=/etc/signpost/cloudflare.token
   --publish desec:token-file=/etc/signpost/desec.token
   --publish route53:profile=mail

Who may set the DNS of a domain only once lets keys take turns at two selectors, as
CNAMEs into a zone that the sender can change. These are printed until they are
there; a slot is used again when its old key is archived:

   $ signpost rotate --slots a,b --slot-zone dkim.example.net example.org
      publish this CNAME record, once:
   a._domainkey.example.org
   a._domainkey.example.org.dkim.example.net

The exit code is 1 when something failed, and 3 when the DNS could not be asked.

examples:
   $ signpost rotate example.org
   example.org
      s20260501  rsa  2048  active  dns: published at all 2 name servers that answer
      publish this TXT record, in one line, for the key /etc/opendkim/keys/example.org/s2026112...
   s20261125._domainkey.example.org
   v=DKIM1; h=sha256; k=rsa; s=email; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA...

   $ signpost rotate --status example.org
   example.org
      s20260501  rsa  2048  retiring since 2026-11-25 10:00:00  dns: published at all 2 name...
      s20261125  rsa  2048  active                              dns: published at all 2 name...
      next: finish on 2026-12-02 10:00:00 or later, and leave the record of s20260501 until then

   $ signpost rotate --finish example.org
   example.org
      s20261125  rsa  2048  active  dns: published at all 2 name servers that answer
      the key s20260501 is archived: /etc/opendkim/keys/.retired/example.org/s20260501.private
      take its TXT record out of the DNS:
   s20260501._domainkey.example.org

json:
   {
     "domains": [
       {
         "domain": "example.org",
         "keys": [
           {
             "selector": "s20260501",
             "type": "rsa",
             "bits": 2048,
             "file": "/etc/opendkim/keys/example.org/s20260501.private",
             "stage": "active",
             "since": "2026-11-25T10:00:00Z",
             "dns": "published"
           }
         ],
         "publish": [
           {
             "domain": "example.org",
             "selector": "s20261125",
             "type": "rsa",
             "bits": 2048,
             "file": "/etc/opendkim/keys/example.org/s20261125.private",
             "record_file": "/etc/opendkim/keys/example.org/s20261125.txt",
             "name": "s20261125._domainkey.example.org",
             "value": "v=DKIM1; h=sha256; k=rsa; s=email; p=..."
           }
         ],
         "cnames": [{"name": "a._domainkey.example.org", "target": "a._domainkey.example.org.dkim.example.net"}],
         "published": ["s20261125._domainkey.example.org"],
         "retired": [
           {
             "selector": "s20250501",
             "file": "/etc/opendkim/keys/.retired/example.org/s20250501.private",
             "public": "",
             "name": "s20250501._domainkey.example.org",
             "value": "",
             "done": true
           }
         ],
         "next": ["..."],
         "note": "...",
         "error": "...",
         "hint": "..."
       }
     ]
   }`
