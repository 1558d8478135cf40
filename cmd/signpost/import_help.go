package main

const importHelp = `Copies the keys that OpenDKIM or rspamd sign with into the key directory, as
<domain>/<selector>.private, byte for byte (one that is not PEM is put into PEM), and
prints their settings as variables for signpostd. Domain and selector stay, so the
DNS stays. The originals are not touched, no file is overwritten, and each is written
whole or not at all.

PATH is one of:
   opendkim.conf        with KeyTable and SigningTable, or Domain, Selector and KeyFile
   a key table          with its signing table as --signing-table
   dkim_signing.conf    of rspamd; in local.d or override.d, with the others there
   a directory          with one of these, or with key files: of the images boky/postfix,
                        postfix-relay, docker-mailserver and Mailu

Databases, LDAP, Redis, Vault and scripts are not asked. What cannot be carried over
is named with its file and line. signpostd signs with the domain of From: lines for
single addresses and keys of other domains are left out.

Of several keys of a domain the newest file signs. So the key that signs there keeps
the time of its file if that makes it the newest, and gets the time of the import if
it does not; a key that does not sign there gets a time before it. A key that would
sign here and does not there is left out.

A configuration that was copied out of a container names files as they are there:
with --root DIR, /etc/opendkim/KeyTable is read as DIR/etc/opendkim/KeyTable. A
directory that has a folder "keys" or a KeyTable stands for /etc/opendkim by itself.

examples:
   $ signpost import --dry-run --keys keys old
   old: a directory with OpenDKIM's configuration
      would copy  keys/example.org/s2.private  rsa 2048, signs          from old/keys/a.key
      would copy  keys/example.org/s1.private  rsa 2048, does not sign  from old/keys/b.key
   note: old: what the configuration names below /etc/opendkim is read here
   fault: old/SigningTable:2: "joe@example.net" is for single addresses
      signpostd signs for whole domains, so this line is left out
      hint: for all of example.net to be signed, make a key of its own: signpost keygen example.net

   for the environment of signpostd:

   # --keys; where the keys are now
   SIGNPOST_KEYS=/srv/mail/keys
   # old/opendkim.conf:2: Socket
   SIGNPOST_LISTEN=inet:8891@localhost
   # old/opendkim.conf:5: InternalHosts; clients whose mail is signed without a login
   SIGNPOST_TRUSTED_NETWORKS=127.0.0.1,10.1.0.0/16
   # the domains that sign; mail from these is refused for now if it cannot be signed
   ALLOWED_SENDER_DOMAINS=example.org

   the DNS stays as it is:

   example.org: keep s2._domainkey.example.org s1._domainkey.example.org

   to see that records and keys fit:

   signpost check --keys keys example.org

   nothing was changed
   $ signpost import /etc/rspamd
   $ signpost import --root container container/etc/opendkim.conf
   $ signpost import --signing-table refile:SigningTable KeyTable
   $ signpost import --from keys --selector mail /etc/opendkim/keys

json:
   {
     "dry_run": true,
     "sources": [{"path": "old", "kind": "opendkim", "what": "a directory with ..."}],
     "keys": [
       {
         "domain": "example.org",
         "selector": "s2",
         "type": "rsa",                        or "ed25519"
         "bits": 2048,
         "signs": true,                        mail is signed with it
         "from": "old/keys/a.key",
         "named_at": "old/KeyTable:1",         empty for a file found by its name
         "file": "keys/example.org/s2.private",
         "modified": "2024-01-01T00:00:00Z",   time of the file
         "state": "would copy"                 or copied, there already, refused, failed
       }
     ],
     "settings": [{"variable": "...", "value": "...", "from": "...", "why": "..."}],
     "domains": [{"domain": "example.org", "records": ["s2._domainkey.example.org"]}],
     "findings": [
       {
         "code": "import-pattern",
         "level": "fault",                     or warning: a loss; note: none
         "name": "old/SigningTable:2",
         "what": "...", "effect": "...", "fix": "..."
       }
     ]
   }`
