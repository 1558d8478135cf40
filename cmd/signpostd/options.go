package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

const description = `Point smtpd_milters and non_smtpd_milters of Postfix at it. Keys are taken from
a directory, in any of these layouts, and taken up as soon as they are there:

   <domain>.private              selector from --selector, default "mail"
   <domain>/<selector>.private
   <domain>.<selector>.key

Each option can be given as an environment variable; the command line wins.
SIGTERM finishes the messages under way and stops, SIGHUP reads the keys again.
Exit codes: 0 stopped, or nothing wrong; 1 failed; 2 wrong settings.`

// option is a setting with its default and the variables it is taken from, the
// first that is not empty. The variables of the image we slot into come last.
type option struct {
	name      string
	variables []string
	value     string
	usage     string
}

func options() []option {
	return []option{
		{"listen", []string{"SIGNPOST_LISTEN", "OPENDKIM_Socket"}, "inet:8891@localhost",
			"`SOCKET`s to listen on, commas between: inet:HOST:PORT, inet:PORT@HOST, inet:PORT (all addresses) or unix:/PATH"},
		{"keys", []string{"SIGNPOST_KEYS"}, "/etc/opendkim/keys", "key `DIRECTORY`"},
		{"selector", []string{"SIGNPOST_SELECTOR", "DKIM_SELECTOR"}, "mail",
			"`SELECTOR`s of keys whose file name has none: a selector, or domain=selector, commas between"},
		{"domains", []string{"SIGNPOST_DOMAINS", "ALLOWED_SENDER_DOMAINS"}, "",
			"`DOMAINS` whose mail is refused for now (451) rather than sent unsigned, white space between"},
		{"trusted-networks", []string{"SIGNPOST_TRUSTED_NETWORKS"}, privateNetworks,
			"`NETWORKS` whose clients are signed without a login, commas or white space between"},
		{"allow-peers", []string{"SIGNPOST_ALLOW_PEERS"}, privateNetworks,
			"`NETWORKS` that may connect to the milter by TCP"},
		{"canonicalization", []string{"SIGNPOST_CANONICALIZATION", "OPENDKIM_Canonicalization"}, "relaxed/relaxed",
			"`HEADER/BODY`, each simple or relaxed"},
		{"sign-headers", []string{"SIGNPOST_SIGN_HEADERS", "OPENDKIM_SignHeaders"}, "",
			"header `FIELDS` to sign when present, commas between; *,+ADD,-REMOVE changes the default list"},
		{"oversign-headers", []string{"SIGNPOST_OVERSIGN_HEADERS", "OPENDKIM_OversignHeaders"}, "",
			"header `FIELDS` that cannot be added later without breaking the signature; *,+ADD,-REMOVE changes the default list"},
		{"expire", []string{"SIGNPOST_EXPIRE"}, "0", "let signatures expire after this `TIME` (x=), such as 168h; 0 for never"},
		{"min-key-bits", []string{"SIGNPOST_MIN_KEY_BITS", "OPENDKIM_MinimumKeyBits"}, "1024", "least size of an RSA key in `BITS`"},
		{"max-header-bytes", []string{"SIGNPOST_MAX_HEADER_BYTES"}, "8388608", "bound on the header of a message in `BYTES`"},
		{"max-connections", []string{"SIGNPOST_MAX_CONNECTIONS"}, "1000", "bound on the `NUMBER` of connections"},
		{"idle-timeout", []string{"SIGNPOST_IDLE_TIMEOUT"}, "1h", "close a connection on which nothing comes for this `TIME`"},
		{"drain-timeout", []string{"SIGNPOST_DRAIN_TIMEOUT"}, "8s", "`TIME` that messages under way get to finish on SIGTERM"},
		{"rescan", []string{"SIGNPOST_RESCAN"}, "30s", "read the key directory this `OFTEN` even if no change is told of"},
		{"log-format", []string{"SIGNPOST_LOG_FORMAT"}, "text", "`FORMAT` of the log: text or json"},
		{"log-level", []string{"SIGNPOST_LOG_LEVEL"}, "info", "`LEVEL` of the log: debug, info, warn or error"},
	}
}

// switches are the settings that are on or off.
func switches() []option {
	return []option{
		{"subdomains", []string{"SIGNPOST_SUBDOMAINS"}, "", "let the key of a domain sign for its subdomains too"},
		{"require-safe-keys", []string{"SIGNPOST_REQUIRE_SAFE_KEYS", "OPENDKIM_RequireSafeKeys"}, "",
			"refuse key files that group or others can read or write"},
		{"autogenerate", []string{"SIGNPOST_AUTOGENERATE", "DKIM_AUTOGENERATE"}, "",
			"make keys for those of --domains that have none, as DOMAIN.private and DOMAIN.txt"},
	}
}

const privateNetworks = "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,::1/128,fc00::/7,fe80::/10"

func flags() []cli.Flag {
	var flags []cli.Flag
	for _, o := range options() {
		flags = append(flags, &cli.StringFlag{Name: o.name, Value: o.value, Usage: o.help()})
	}
	for _, o := range switches() {
		flags = append(flags, &cli.BoolFlag{Name: o.name, Usage: o.help(), DisableDefaultText: true})
	}
	return append(flags, &cli.BoolFlag{Name: "check", DisableDefaultText: true,
		Usage: "load everything, say what is wrong, and exit"})
}

// help names the variables beside the usage. They are not given to the cli
// library, which takes an empty variable for a value.
func (o option) help() string { return o.usage + " [$" + strings.Join(o.variables, ", $") + "]" }

// source is a value and where it came from, for errors.
type source struct{ value, from string }

func (s source) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %w", s.from, fmt.Errorf(format, args...))
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

// get returns the value of an option: from the command line, else from the
// first variable that is set, else the default.
func get(c *cli.Context, env environment, name string) source {
	all := append(options(), switches()...)
	o := all[slices.IndexFunc(all, func(o option) bool { return o.name == name })]
	if c.IsSet(name) {
		return source{fmt.Sprint(c.Value(name)), "--" + name}
	}
	for _, variable := range o.variables {
		if value, ok := env[variable]; ok {
			return source{value, variable}
		}
	}
	return source{o.value, "--" + name}
}
