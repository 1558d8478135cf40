package main

const postfixDescription = `show, diff and write take the variables of the image boky/postfix:
ALLOWED_SENDER_DOMAINS or ALLOW_EMPTY_SENDER_DOMAINS, POSTFIX_myhostname,
POSTFIX_mynetworks, MESSAGE_SIZE_LIMIT, RELAYHOST, SASL_RELAYHOST,
RELAYHOST_USERNAME, RELAYHOST_PASSWORD or RELAYHOST_PASSWORD_FILE,
RELAYHOST_TLS_LEVEL, MASQUERADED_DOMAINS, INBOUND_DEBUGGING. POSTFIX_<parameter>
sets any parameter and wins over the rest; when it is empty, the parameter is taken
out of main.cf. Everything else in main.cf and master.cf stays as it is.

check takes no variables but SIGNPOST_MILTER. It looks at any Postfix, whoever set
it up.

examples:
   $ signpost postfix show --milter-only
   smtpd_milters = inet:signpostd:8891
   non_smtpd_milters = inet:signpostd:8891
   milter_default_action = tempfail
   milter_protocol = 6

   $ postconf -n | signpost postfix check -`

const postfixShowDescription = `Prints settings to paste, in the form that --as asks for:

   main.cf   lines of that file (default)
   postconf  a shell command that sets them
   env       variables, as "environment:" of a compose file has them; $ is doubled there

With --milter-only these are the settings that have mail signed, for a Postfix that
is set up already. No variable is needed then, nor a main.cf. A password is never
shown: its setting is left out, with a comment.

examples:
   $ signpost postfix show --milter-only --as postconf --milter inet:127.0.0.1:8891
   postconf -e 'smtpd_milters=inet:127.0.0.1:8891' \
       'non_smtpd_milters=inet:127.0.0.1:8891' \
       'milter_default_action=tempfail' \
       'milter_protocol=6'
   postfix reload

   $ signpost postfix show --milter-only --as env
   # Under "environment:" of a service in a compose file. There $$ stands for one $; in a file
   # for ` + "`docker run --env-file`" + ` leave out the dash and the quotes, and write $ once.
   - 'POSTFIX_smtpd_milters=inet:signpostd:8891'
   - 'POSTFIX_non_smtpd_milters=inet:signpostd:8891'
   - 'POSTFIX_milter_default_action=tempfail'
   - 'POSTFIX_milter_protocol=6'

json:
   {
     "settings": [
       {"name": "smtpd_milters", "value": "inet:signpostd:8891", "unset": false}
     ]
   }`

const postfixDiffDescription = `The exit code is 1 when there is something to change, 0 when there is not, and
3 when the files cannot be read. "write --dry-run" prints the same and exits with 0.

examples:
   $ export ALLOWED_SENDER_DOMAINS=example.org
   $ signpost postfix diff | grep milter
   -smtpd_milters = inet:127.0.0.1:8891
   -milter_default_action = accept
   +#signpost# smtpd_milters = inet:127.0.0.1:8891
   +#signpost# milter_default_action = accept
   +smtpd_milters = inet:signpostd:8891
   +non_smtpd_milters = inet:signpostd:8891
   +milter_default_action = tempfail
   +milter_protocol = 6

json:
   {
     "files": [
       {"path": "/etc/postfix/main.cf", "diff": "--- ..."}
     ]
   }`

const postfixWriteDescription = `Puts its settings in a block of their own in main.cf. A setting of the same name
elsewhere in the file becomes a comment, and comes back when ours is not wanted any
more. In master.cf it adds port 587 and the log service where they are missing, and
takes the programs that look up names out of their chroot. A file is replaced whole
or not at all. A second time there is nothing to do.

examples:
   $ ALLOWED_SENDER_DOMAINS=example.org POSTFIX_myhostname=mail.example.org signpost postfix write
   signpost: wrote /etc/postfix/signpost_senders
   signpost: wrote /etc/postfix/master.cf
   signpost: wrote /etc/postfix/main.cf

json:
   {
     "files": [
       {"path": "/etc/postfix/main.cf", "diff": "--- ..."}
     ]
   }`

const postfixCheckDescription = `Looks for what lets mail leave unsigned, what breaks a signature on the way out,
and what lets strangers send:

   - mail that meets no milter: by SMTP, by sendmail(1), by one service of master.cf
   - what happens while signpostd is away, and how Postfix speaks to it
   - content filters, header and address rewriting, line length and MIME conversion
     that come after signing
   - open relays, wide networks, SMTP smuggling (CVE-2023-51764)
   - settings that do nothing: misspelt, set twice, not to be expanded

Without an argument it looks at /etc/postfix or --config-dir: at main.cf, master.cf
and, where postconf is installed, the defaults of that version. FILE is a main.cf,
read with the master.cf beside it, or what "postconf -n" printed; "-" is standard
input. The version of Postfix is not known then, and defaults are those of 3.9.

With --milter, mail has to meet that address. Without, whatever milter there is is
taken for signpostd.

Faults and warnings make the exit code 1, notes do not.

examples:
   $ signpost postfix check main.cf
   warning: non_smtpd_milters: names no milter
      mail from sendmail(1), so from cron, mail(1) and PHP, leaves unsigned
      hint: non_smtpd_milters = inet:127.0.0.1:8891
   warning: milter_default_action: lets mail through while the milter cannot be reached (accept)
      when signpostd is down, starting or slow, mail leaves unsigned and nobody notices
      hint: milter_default_action = tempfail
   main.cf: 2 warnings; mail by SMTP meets inet:127.0.0.1:8891, mail by sendmail meets no milter

   $ postconf -n | signpost postfix check --milter inet:signpostd:8891 -

json:
   {
     "config": "/etc/postfix/main.cf",
     "version": "3.7.11",
     "smtpd_milters": ["inet:localhost:8891"],
     "non_smtpd_milters": ["inet:localhost:8891"],
     "findings": [
       {
         "code": "postfix-milter-accept",
         "level": "warning",
         "name": "milter_default_action",
         "what": "...",
         "effect": "...",
         "fix": "milter_default_action = tempfail"
       }
     ]
   }`
