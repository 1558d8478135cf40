package main

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/milter"
)

// settings is what the command line and the environment say, checked.
type settings struct {
	milter.Signing
	listen       []milter.Address
	keyAge       time.Duration  // of a key that signs, before the log says so; 0 for never
	http         milter.Address // zero for none
	autogenerate bool
	check        bool
	peers        []netip.Prefix
	limits       milter.Limits
	rescan       time.Duration
	dns          keystore.DNS
	drain        time.Duration
	logFormat    string
	logLevel     slog.Level
	warnings     []string
}

// reader reads settings with the command line and the environment at hand.
type reader struct {
	milter.Reader
	c   *cli.Context
	env environment
}

func newReader(c *cli.Context, environ []string) *reader {
	r := &reader{c: c, env: newEnvironment(environ)}
	r.Get = func(name string) milter.Value {
		return milter.FindSetting(options(), name).Value(fmt.Sprint(c.Value(name)), c.IsSet(name), r.env)
	}
	return r
}

func readSettings(c *cli.Context, environ []string) (*settings, error) {
	r := newReader(c, environ)
	if c.Args().Present() {
		return nil, fmt.Errorf("unexpected argument %q; hint: signpostd takes options only, see signpostd --help", c.Args().First())
	}
	s := &settings{
		Signing: *milter.ReadSigning(&r.Reader),
		listen:  milter.Parsed(&r.Reader, "listen", milter.ParseAddresses),
		http:    milter.Parsed(&r.Reader, "http", milter.ParseHTTP),
		check:   c.Bool("check"),
		peers:   milter.Parsed(&r.Reader, "allow-peers", milter.ParseNetworks),
		limits: milter.Limits{
			Connections: r.Number("max-connections", 1, 1<<20),
			Idle:        r.Duration("idle-timeout", time.Second),
		},
		keyAge:    r.Duration("max-key-age", 0),
		rescan:    r.Duration("rescan", time.Second),
		drain:     r.Duration("drain-timeout", 0),
		logFormat: r.OneOf("log-format", "text", "json"),
		logLevel:  milter.Parsed(&r.Reader, "log-level", parseLevel),
	}
	s.limits.HeaderBytes = s.HeaderBytes
	s.Keys.State = r.Get("state").Text
	s.dns = keystore.DNS{Resolver: milter.Parsed(&r.Reader, "resolver", resolver), Rate: float64(r.Number("dns-rate", 1, 10_000))}
	r.images(s)
	if r.Err != nil {
		return nil, r.Err
	}
	return s, nil
}

// logger returns the log in the format asked for.
func (s *settings) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: s.logLevel}
	if s.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
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
