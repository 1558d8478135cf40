package main

const dnsDescription = `SPF, DKIM and DMARC for each domain, to be published in its zone. DKIM has every
usable key of the key directory, whether it signs or not: mail that is on its way
needs the old ones, and a new one signs only when its record is there. With --daemon
each says how far its key is for a running signpostd, such as "pending".

SPF is "v=spf1 mx -all" when nothing else is asked for. Mail that is sent by other
hosts than those that receive needs --ip, --a or --include.

DMARC begins with p=none, which refuses nothing and asks for reports. When they
show your own mail passing, go on to --policy quarantine and then reject; the
table prints those records too. Reports to an address in somebody else's domain
need a record there; it is printed, and set apart.

A name that sends no mail should say so: --no-mail prints the records that keep
others from using it. With --null-mx it takes none either.

formats:
   table       for people (default)
   zone        part of a zone file, for BIND, NSD, Knot, and most web pages that import
   line        each value as one line without quotes, to paste in a web form
   json        as shown below
   nsupdate    a dynamic update, for nsupdate and knsupdate
   cloudflare  a batch for the API of Cloudflare
   route53     a change batch for the command line of AWS
   terraform   resources of the Cloudflare provider; terraform-route53 of that of AWS

The TXT records that others have at the name of the domain itself stay: an update
adds to them, a change batch fails, and where a list holds them all a comment says
so. At the other names what was there is replaced where the format can do that.

examples:
   $ signpost dns --no-mail parked.example
   name   parked.example
   host   @   in the zone parked.example
   type   TXT
   value  v=spf1 -all
   why    SPF: no server may send as parked.example. A name has one SPF record

   name   *._domainkey.parked.example
   host   *._domainkey   in the zone parked.example
   type   TXT
   value  v=DKIM1; p=
   why    DKIM: no selector has a key, so no signature is valid

   name   _dmarc.parked.example
   host   _dmarc   in the zone parked.example
   type   TXT
   value  v=DMARC1; p=reject
   why    DMARC: mail that fails both SPF and DKIM is refused; no reports come

   $ signpost dns --format line --policy reject --rua dmarc@example.org --adkim s example.org
   # host @ (whole name example.org), type TXT, TTL 3600
   v=spf1 mx -all

   # host s1._domainkey (whole name s1._domainkey.example.org), type TXT, TTL 3600
   v=DKIM1; h=sha256; k=ed25519; s=email; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=

   # host _dmarc (whole name _dmarc.example.org), type TXT, TTL 3600
   v=DMARC1; p=reject; rua=mailto:dmarc@example.org; adkim=s

   $ signpost dns --format zone --zone example.org --ip 192.0.2.25 --all ~all news.example.org
   $ signpost dns --format nsupdate example.org | nsupdate -k update.key
   $ signpost dns --format route53 example.org > batch.json
   $ aws route53 change-resource-record-sets --hosted-zone-id ID --change-batch file://batch.json
   $ signpost dns --format cloudflare example.org | curl --json @- -H "$AUTHORIZATION" \
       https://api.cloudflare.com/client/v4/zones/$ZONE_ID/dns_records/batch

json:
   {
     "records": [
       {
         "zone": "example.org",             absent for records of zones that are not known
         "name": "_dmarc.example.org",      whole, without final dot
         "host": "_dmarc",                  inside of the zone; "@" is the zone itself
         "type": "TXT",                     or "MX"
         "ttl": 3600,
         "value": "v=DMARC1; p=none; ...",  neither quoted nor split; of MX "0 ."
         "strings": ["v=DMARC1; ..."],      the value in pieces of at most 255 bytes
         "why": "DMARC: ..."
       }
     ],
     "next": [                              what to publish later in place of it
       {
         "when": "after two weeks in which ...",
         "name": "_dmarc.example.org",
         "type": "TXT",
         "value": "v=DMARC1; p=quarantine; ...",
         "options": "--policy quarantine"
       }
     ]
   }`
