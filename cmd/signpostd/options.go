package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"signpost/milter"
)

const description = `Point smtpd_milters and non_smtpd_milters of Postfix at it. Keys are taken from
a directory, in any of these layouts, and taken up as soon as they are there:

   <domain>.private              selector from --selector, default "mail"
   <domain>/<selector>.private
   <domain>.<selector>.key

Each option can be given as an environment variable; the command line wins.
SIGTERM finishes the messages under way and stops, SIGHUP reads the keys again.
Exit codes: 0 stopped, or nothing wrong; 1 failed; 2 wrong settings.`

// options are all settings, in the order of the help. The variables of the
// image we slot into come last.
func options() []milter.Setting {
	return slices.Concat([]milter.Setting{
		{Name: "listen", Variables: []string{"SIGNPOST_LISTEN", "OPENDKIM_Socket"}, Default: "inet:8891@localhost",
			Usage: "`SOCKET`s to listen on, commas between: inet:HOST:PORT, inet:PORT@HOST, inet:PORT (all addresses) or unix:/PATH"},
	}, milter.SigningSettings(), []milter.Setting{
		{Name: "allow-peers", Variables: []string{"SIGNPOST_ALLOW_PEERS"}, Default: milter.PrivateNetworks,
			Usage: "`NETWORKS` that may connect to the milter by TCP"},
		{Name: "autogenerate", Variables: []string{"SIGNPOST_AUTOGENERATE", "DKIM_AUTOGENERATE"}, Switch: true,
			Usage: "make keys for those of --domains that have none, as DOMAIN.private and DOMAIN.txt"},
		{Name: "max-connections", Variables: []string{"SIGNPOST_MAX_CONNECTIONS"}, Default: "1000",
			Usage: "bound on the `NUMBER` of connections"},
		{Name: "idle-timeout", Variables: []string{"SIGNPOST_IDLE_TIMEOUT"}, Default: "1h",
			Usage: "close a connection on which nothing comes for this `TIME`"},
		{Name: "drain-timeout", Variables: []string{"SIGNPOST_DRAIN_TIMEOUT"}, Default: "8s",
			Usage: "`TIME` that messages under way get to finish on SIGTERM"},
		{Name: "resolver", Variables: []string{"SIGNPOST_RESOLVER"},
			Usage: "DNS `SERVER` to ask, instead of those of /etc/resolv.conf"},
		{Name: "dns-rate", Variables: []string{"SIGNPOST_DNS_RATE"}, Default: "20",
			Usage: "bound on the `NUMBER` of DNS queries per second"},
		{Name: "state", Variables: []string{"SIGNPOST_STATE"},
			Usage: "`DIRECTORY` to keep what the DNS said over a restart"},
		{Name: "max-key-age", Variables: []string{"SIGNPOST_MAX_KEY_AGE"}, Default: "8760h",
			Usage: "warn once a day of keys that sign and are older than this `TIME`; 0 for never"},
		{Name: "rescan", Variables: []string{"SIGNPOST_RESCAN"}, Default: "30s",
			Usage: "read the key directory this `OFTEN` even if no change is told of"},
		{Name: "http", Variables: []string{"SIGNPOST_HTTP"},
			Usage: "serve a status page, metrics and readiness at `ADDRESS`: HOST:PORT, :PORT (all addresses) or unix:/PATH; off when empty"},
		{Name: "log-format", Variables: []string{"SIGNPOST_LOG_FORMAT"}, Default: "text",
			Usage: "`FORMAT` of the log: text or json"},
		{Name: "log-level", Variables: []string{"SIGNPOST_LOG_LEVEL"}, Default: "info",
			Usage: "`LEVEL` of the log: debug, info, warn or error"},
	})
}

// flags are the options for the cli library. The variables are not given to
// it, for it takes an empty one for a value.
func flags() []cli.Flag {
	var flags []cli.Flag
	for _, o := range options() {
		if o.Switch {
			flags = append(flags, &cli.BoolFlag{Name: o.Name, Usage: o.Help(), DisableDefaultText: true})
			continue
		}
		flags = append(flags, &cli.StringFlag{Name: o.Name, Value: o.Default, Usage: o.Help()})
	}
	return append(flags, &cli.BoolFlag{Name: "check", DisableDefaultText: true,
		Usage: "load everything, say what is wrong, and exit"})
}

// environment is the variables that are set and not empty.
type environment map[string]string

func newEnvironment(environ []string) environment {
	env := make(environment)
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok && value != "" {
			env[name] = value
		}
	}
	return env
}
