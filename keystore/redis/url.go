// Package redis keeps keys in Redis or Valkey, in the hashes of mailcow and of rspamd.
package redis

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"signpost/keystore/finding"
)

// config is what a URL says.
type config struct {
	scheme    string
	kind      kind
	tls       bool
	hosts     []string // host:port
	master    string   // that the Sentinels know
	db        int
	user      string
	password  string
	layout    string // "" for what is found
	prefix    string // the hash of keys, in rspamd's words; "" for the usual names
	selectors string // the hash of selectors, likewise

	passwordFile, sentinelPasswordFile string
	ca, cert, key, serverName          string
}

// kind is how servers are found.
type kind int

const (
	single kind = iota
	sentinel
	cluster
)

// The layouts of keys.
const (
	layoutMailcow = "mailcow"
	layoutRspamd  = "rspamd"
)

// Hidden is what programs show in place of the password of a URL.
const Hidden = "xxxxx"

const exampleURL = "for example redis://redis.example:6379/0?layout=rspamd"

func invalidURL() error {
	return finding.WithHint(fmt.Errorf("invalid URL of a Redis store"),
		"%s; special characters of a password are written as %%40, or use password_file", exampleURL)
}

// parseURL reads the URL of a store. Errors name the part that is wrong, and never show a
// password.
func parseURL(text string) (*config, error) {
	u, err := url.Parse(text)
	// The error of net/url shows the whole URL. A password with a / or ? ends up in the path.
	if err != nil || strings.Contains(u.Path, "@") {
		return nil, invalidURL()
	}
	c := &config{scheme: u.Scheme}
	base, way, _ := strings.Cut(u.Scheme, "+")
	port := "6379"
	switch way {
	case "":
	case "sentinel":
		c.kind, port = sentinel, "26379"
	case "cluster":
		c.kind = cluster
	default:
		base = ""
	}
	switch base {
	case "redis":
	case "rediss":
		c.tls = true
	default:
		return nil, finding.WithHint(fmt.Errorf("unknown scheme %q", u.Scheme),
			"use redis, rediss, redis+sentinel, rediss+sentinel, redis+cluster or rediss+cluster")
	}
	if u.Opaque != "" || u.Fragment != "" {
		return nil, finding.WithHint(fmt.Errorf("invalid URL of a Redis store"), exampleURL)
	}
	if u.User != nil {
		c.user = u.User.Username()
		c.password, _ = u.User.Password()
	}
	if c.password == Hidden {
		return nil, finding.WithHint(fmt.Errorf("the URL has %s in place of a password, as one that was shown", Hidden),
			"write the password there, or give password_file=PATH in the URL")
	}
	host, err := address("host", u.Host, port)
	if err != nil {
		return nil, err
	}
	c.hosts = []string{host}
	if err := c.parsePath(strings.TrimPrefix(u.Path, "/")); err != nil {
		return nil, err
	}
	return c, c.parseQuery(u.RawQuery, port)
}

// address returns host:port, with the usual port where there is none.
func address(name, text, port string) (string, error) {
	host, given, err := net.SplitHostPort(text)
	if err != nil {
		host, given = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"), port
	}
	n, portErr := strconv.ParseUint(given, 10, 16)
	_, ipErr := netip.ParseAddr(host)
	if host == "" || strings.Contains(host, ":") && ipErr != nil || strings.ContainsAny(host, " /@?#[],%") ||
		portErr != nil || n == 0 {
		return "", finding.WithHint(fmt.Errorf("%s: invalid address %q", name, text),
			"write host or host:port; of IPv6 [::1]:%s", port)
	}
	return net.JoinHostPort(host, given), nil
}

// parsePath reads the database, and before it the name that the Sentinels know.
func (c *config) parsePath(path string) error {
	db := path
	switch c.kind {
	case sentinel:
		c.master, db, _ = strings.Cut(path, "/")
		if c.master == "" {
			return finding.WithHint(fmt.Errorf("the name of the master is missing"),
				"write it as the path, as in redis+sentinel://sentinel.example/mymaster")
		}
	case cluster:
		if path != "" && path != "0" {
			return finding.WithHint(fmt.Errorf("database %q: a Cluster has only database 0", path),
				"leave the path out")
		}
	}
	if db == "" {
		return nil
	}
	n, err := strconv.Atoi(db)
	if err != nil || n < 0 || strconv.Itoa(n) != db {
		return finding.WithHint(fmt.Errorf("invalid database %q", db), "it is a number, usually 0")
	}
	c.db = n
	return nil
}

func (c *config) parseQuery(query, port string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return finding.WithHint(fmt.Errorf("invalid parameters in the URL"),
			"they follow ? with & between, as in ?layout=rspamd&ca=/etc/ssl/redis.crt")
	}
	texts := map[string]*string{
		"layout": &c.layout, "prefix": &c.prefix, "selectors": &c.selectors,
		"password_file": &c.passwordFile, "sentinel_password_file": &c.sentinelPasswordFile,
		"ca": &c.ca, "cert": &c.cert, "key": &c.key, "server_name": &c.serverName,
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if name == "addr" {
			for _, text := range values[name] {
				host, err := address("addr", text, port)
				if err != nil {
					return err
				}
				c.hosts = append(c.hosts, host)
			}
			continue
		}
		target, ok := texts[name]
		if !ok && strings.Contains(name, "@") {
			return invalidURL() // it is the end of a password
		}
		if !ok {
			return finding.WithHint(fmt.Errorf("unknown parameter %q", name),
				"use addr, layout, prefix, selectors, password_file, sentinel_password_file, ca, cert, key or server_name")
		}
		if len(values[name]) > 1 || values[name][0] == "" {
			return finding.WithHint(fmt.Errorf("%s: it must be given once, with a value", name), "for example %s=VALUE", name)
		}
		*target = values[name][0]
	}
	return c.check()
}

// check refuses parameters that do not go together.
func (c *config) check() error {
	if c.layout == "" && (c.prefix != "" || c.selectors != "") {
		c.layout = layoutRspamd
	}
	for _, rule := range []struct {
		broken     bool
		what, hint string
	}{
		{c.kind == single && len(c.hosts) > 1, "addr: several servers",
			"use redis+sentinel:// or redis+cluster://"},
		{c.layout != "" && c.layout != layoutMailcow && c.layout != layoutRspamd,
			fmt.Sprintf("layout: unknown layout %q", c.layout), "use mailcow or rspamd"},
		{c.layout == layoutMailcow && c.prefix+c.selectors != "",
			"prefix, selectors: mailcow's names are fixed", "leave them out, or use layout=rspamd"},
		{c.prefix != "" && c.prefix == c.selectors, "prefix, selectors: both are the same hash",
			"they are key_prefix and selector_prefix of rspamd"},
		{c.password != "" && c.passwordFile != "", "password_file: the URL has a password, too",
			"leave one out"},
		{c.sentinelPasswordFile != "" && c.kind != sentinel,
			"sentinel_password_file: there are no Sentinels in " + c.scheme, "use password_file"},
		{!c.tls && c.ca+c.cert+c.key+c.serverName != "",
			"ca, cert, key, server_name: there is no TLS in " + c.scheme, "use rediss"},
		{(c.cert == "") != (c.key == ""), "cert, key: one is missing", "give both, or neither"},
	} {
		if rule.broken {
			return finding.WithHint(fmt.Errorf("%s", rule.what), "%s", rule.hint)
		}
	}
	return nil
}

// name is the URL without user, password and parameters.
func (c *config) name() string {
	path := "/" + strconv.Itoa(c.db)
	switch c.kind {
	case sentinel:
		path = "/" + url.PathEscape(c.master) + path
	case cluster:
		path = ""
	}
	return c.scheme + "://" + c.hosts[0] + path
}
