package main

const keygenDescription = `Makes a key for each domain, and the record of its public half, which goes into
the DNS as a TXT record. The files are <domain>/<selector>.private and
<domain>/<selector>.txt in the key directory. Nothing is ever overwritten: what is
there is named, the other domains get their keys, and the exit code is 1.

With --type both there are two keys, for they need two names in the DNS: the
Ed25519 key has the selector of the RSA key with an "e" behind it, as in s20261122e.
RSA keys of less than 1024 bits are refused.

A domain that has a key gets no second one unless --now is given: to change keys
there is "signpost rotate". Of several keys, the newest whose record is in the DNS
signs, so one that is made beside another does no harm while it waits.

--flat makes <domain>.private and <domain>.txt, as the image boky/postfix has them.
The name of such a file has no selector. signpostd takes the one that its
SIGNPOST_SELECTOR or DKIM_SELECTOR says, else "mail", and so does keygen;
--selector takes the same grammar here, as in "mail,example.org=s1".

Key files have mode 0400. When root makes them they belong to the owner of the key
directory, so that a signpostd that runs as that user can read them. In a directory
of root and a group that is closed to others (0750) the mode is 0440, for that group.

examples:
   $ signpost keygen example.org
   example.org: made an RSA key of 2048 bits with selector s20261122
      key     /etc/opendkim/keys/example.org/s20261122.private
      record  /etc/opendkim/keys/example.org/s20261122.txt
      publish this TXT record, in one line:
   s20261122._domainkey.example.org
   v=DKIM1; h=sha256; k=rsa; s=email; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA...
      next    signpost dns example.org
      then    signpost check example.org

   $ signpost keygen --type both --selector s1 example.org example.net
   $ signpost keygen --flat example.org

json:
   {
     "keys": [
       {
         "domain": "example.org",
         "selector": "s20261122",
         "type": "rsa",
         "bits": 2048,
         "file": "/etc/opendkim/keys/example.org/s20261122.private",
         "record_file": "/etc/opendkim/keys/example.org/s20261122.txt",
         "name": "s20261122._domainkey.example.org",
         "value": "v=DKIM1; h=sha256; k=rsa; s=email; p=..."
       }
     ],
     "failed": [
       {"domain": "example.net", "error": "...", "hint": "..."}
     ]
   }`
