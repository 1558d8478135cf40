package settings

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/net/idna"

	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/rotation"
	"signpost/keystore/rotation/peers"
	"signpost/milter"
)

// LogFormat is the form of the log lines.
type LogFormat string

// The forms of log lines.
const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Confine is whether signpostd gives up rights once it has started.
type Confine string

// The modes of confinement.
const (
	ConfineAuto    Confine = "auto"
	ConfineRequire Confine = "require"
	ConfineOff     Confine = "off"
)

// Daemon is what the command line and the environment say to signpostd, checked.
type Daemon struct {
	Signing
	Listen       []milter.Address
	HTTP         milter.Address // zero for none
	HTTPHosts    []string       // names of it that the machine does not know
	KeyAge       time.Duration  // from which a signing key is warned of; 0 for never
	Autogenerate bool
	Peers        []netip.Prefix
	Limits       milter.Limits
	Rescan       time.Duration
	State        rotation.State
	Sharing      []string // with which other nodes what the DNS said is shared, HOST:PORT
	DNS          rotation.DNS
	Reports      Reports
	Drain        time.Duration
	Confine      Confine
	LogFormat    LogFormat
	LogLevel     slog.Level
	Warnings     []error // of settings that mean something else than one might think, or nothing
}

// ReadDaemon reads the settings of ForDaemon.
func ReadDaemon(c *cli.Context) (*Daemon, error) {
	r := &reader{c: c}
	d := &Daemon{
		Signing:   *r.signing(),
		Listen:    parsed(r, "listen", milter.ParseAddresses),
		HTTP:      parsed(r, "http", milter.ParseHTTP),
		HTTPHosts: parsed(r, "http-host", hostNames),
		Peers:     parsed(r, "allow-peers", milter.ParseNetworks),
		Limits: milter.Limits{
			Connections:     r.number("max-connections", 1, 1<<20),
			PeerConnections: r.number("max-peer-connections", 0, 1<<20),
			Memory:          parsed(r, "max-memory", parseMemory),
			Message:         r.duration("message-time", time.Second),
			Idle:            r.duration("idle-timeout", time.Second),
		},
		KeyAge: r.duration("max-key-age", 0),
		Rescan: r.duration("rescan", time.Second),
		DNS: rotation.DNS{
			Resolver: parsed(r, "resolver", resolver),
			Rate:     float64(r.number("dns-rate", 1, 10_000)),
		},
		Reports:   r.reports(),
		Drain:     r.duration("drain-timeout", 0),
		Confine:   parsed(r, "confine", OneOf(ConfineAuto, ConfineRequire, ConfineOff)),
		LogFormat: parsed(r, "log-format", OneOf(LogText, LogJSON)),
		LogLevel:  parsed(r, "log-level", parseLevel),
	}
	d.Limits.HeaderBytes = d.HeaderBytes
	d.Keys.RemovalGrace = r.duration("removal-grace", time.Second)
	d.Keys.Lookup = r.duration("lookup-time", time.Millisecond)
	d.Keys.Cache, d.Keys.CacheKey = r.value("cache").Text, r.value("cache-key").Text
	d.State = rotation.State{Dir: r.value("state").Text, Node: parsed(r, "node", rotation.ParseNode)}
	d.Sharing = parsed(r, "peers", peers.ParseNames)
	if d.Limits.Memory < 8*d.HeaderBytes {
		// A header takes some three times its size out of what one peer may have: half.
		d.Warnings = append(d.Warnings, finding.WithHint(
			fmt.Errorf("%d MiB for the headers of all messages are little, and headers near the largest of %d bytes "+
				"are always deferred", d.Limits.Memory>>20, d.HeaderBytes),
			"raise --max-memory or lower --max-header-bytes"))
	}
	if err := unusedLogins(d.Rules.Logins); err != nil {
		d.Warnings = append(d.Warnings, err)
	}
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

// hostNames reads names as a browser sends them.
func hostNames(text string) (names []string, err error) {
	for _, word := range milter.Words(text) {
		name, err := idna.Lookup.ToASCII(word)
		if err != nil {
			return nil, finding.WithHint(fmt.Errorf("invalid name %q", word),
				"write it without a scheme and a port, like status.example.org")
		}
		names = append(names, name)
	}
	return names, nil
}

// parseMemory reads a size in bytes, or with a unit.
func parseMemory(text string) (int, error) {
	const least, most = 16 << 20, 1 << 40
	digits := strings.TrimRight(text, "BKMGi")
	shifts := map[string]int{"": 0, "B": 0, "K": 10, "KiB": 10, "M": 20, "MiB": 20, "G": 30, "GiB": 30}
	shift, ok := shifts[text[len(digits):]]
	n, err := strconv.Atoi(digits)
	if err != nil || !ok || n < least>>shift || n > most>>shift {
		return 0, finding.WithHint(fmt.Errorf("%q must be a size between 16MiB and 1024GiB", text),
			"write it like 256MiB or 1G")
	}
	return n << shift, nil
}

// parseLevel takes what is between the levels too, such as warn+2.
func parseLevel(value string) (level slog.Level, err error) {
	if level.UnmarshalText([]byte(value)) != nil {
		_, err = OneOf("debug", "info", "warn", "error")(value)
	}
	return level, err
}
