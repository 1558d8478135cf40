package settings

import (
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/keystore/dns"
	"signpost/keystore/rotation"
	"signpost/milter"
)

// LogFormat is the form of the log lines.
type LogFormat string

// The forms of log lines.
const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Daemon is what the command line and the environment say to signpostd, checked.
type Daemon struct {
	Signing
	Listen       []milter.Address
	HTTP         milter.Address // zero for none
	KeyAge       time.Duration  // from which a signing key is warned of; 0 for never
	Autogenerate bool
	Peers        []netip.Prefix
	Limits       milter.Limits
	Rescan       time.Duration
	State        string // directory; "" for none
	DNS          rotation.DNS
	Drain        time.Duration
	LogFormat    LogFormat
	LogLevel     slog.Level
	Warnings     []error // of variables that mean something else, or nothing
}

// ReadDaemon reads the settings of ForDaemon.
func ReadDaemon(c *cli.Context) (*Daemon, error) {
	r := &reader{c: c}
	d := &Daemon{
		Signing: *r.signing(),
		Listen:  parsed(r, "listen", milter.ParseAddresses),
		HTTP:    parsed(r, "http", milter.ParseHTTP),
		Peers:   parsed(r, "allow-peers", milter.ParseNetworks),
		Limits: milter.Limits{
			Connections: r.number("max-connections", 1, 1<<20),
			Idle:        r.duration("idle-timeout", time.Second),
		},
		KeyAge: r.duration("max-key-age", 0),
		Rescan: r.duration("rescan", time.Second),
		DNS: rotation.DNS{
			Resolver: parsed(r, "resolver", resolver),
			Rate:     float64(r.number("dns-rate", 1, 10_000)),
		},
		Drain:     r.duration("drain-timeout", 0),
		LogFormat: parsed(r, "log-format", oneOf(LogText, LogJSON)),
		LogLevel:  parsed(r, "log-level", parseLevel),
	}
	d.Limits.HeaderBytes = d.HeaderBytes
	d.State = r.value("state").Text
	r.images(d)
	return d, r.err
}

// resolver returns that of the system where no server is named.
func resolver(server string) (*dns.Resolver, error) {
	if server == "" {
		return dns.System()
	}
	return dns.At(server)
}

func parseLevel(value string) (level slog.Level, err error) {
	if err := level.UnmarshalText([]byte(value)); err != nil {
		return 0, fmt.Errorf("%q is none of debug, info, warn, error", value)
	}
	return level, nil
}
