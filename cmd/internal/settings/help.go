package settings

// DaemonUsage is what signpostd does, in a few words.
const DaemonUsage = "sign mail with DKIM as a milter of Postfix"

// DaemonHelp is the text of its --help and of its manual page, which the companion
// prints.
const DaemonHelp = `Point smtpd_milters and non_smtpd_milters of Postfix at it. Keys are read from a
directory, in any of these layouts, and loaded as soon as they are there:

   <domain>.private              selector from --selector, default "mail"
   <domain>/<selector>.private
   <domain>.<selector>.key
   <domain>/<selector>.key
   rsa-2048-<selector>-<domain>.private.txt

Each option can be given as an environment variable; the command line wins.
SIGTERM finishes the messages in progress and stops, SIGHUP reads the keys again.
Exit codes: 0 stopped, or nothing wrong; 1 failed; 2 wrong settings.`

// CheckUsage is what its --check does, which is no setting.
const CheckUsage = "load everything, report what is wrong, and exit"
