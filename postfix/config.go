package postfix

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"signpost/keystore/regular"
)

// Config is what Postfix makes of its configuration: the values in force, with
// $name replaced and with the defaults of Postfix.
type Config struct {
	// Path names the file that the settings came from.
	Path string
	// Services are those of master.cf; nil when there was none to read.
	Services []Service
	// Duplicates are settings that a later one of the same name wins over.
	Duplicates []Duplicate
	settings   map[string]placed
	defaults   map[string]string
	complete   bool // the defaults are those of this Postfix, all of them
}

// A Duplicate is a name that is set more than once.
type Duplicate struct {
	Name       string
	Line, Last int // the line that does not count, and the one that does
}

// placed is a value and the line it starts on.
type placed struct {
	value string
	line  int
}

// ParseConfig reads the content of a main.cf, or what "postconf -n" prints.
// path is only used to name it. The defaults are those of Postfix 3.9, for the
// parameters that matter to mail on its way out.
func ParseConfig(path string, data []byte) (*Config, error) {
	main, err := ParseMain(path, data)
	if err != nil {
		return nil, err
	}
	c := &Config{Path: path, settings: make(map[string]placed), defaults: stockDefaults()}
	for _, s := range statements(main.lines) {
		name, value, err := nameValue(s.text)
		if err != nil {
			return nil, err // ParseMain has looked at it
		}
		line := s.lines[0] + 1
		if before, ok := c.settings[name]; ok {
			c.Duplicates = append(c.Duplicates, Duplicate{name, before.line, line})
		}
		c.settings[name] = placed{value, line}
	}
	return c, nil
}

// ReadConfig reads main.cf, and master.cf beside it if there is one. path is the
// directory of both or main.cf itself. A file of another name is read as what
// "postconf -n" printed, and is read alone.
func ReadConfig(path string) (*Config, error) {
	read := os.ReadFile // what is named may be a pipe from postconf
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		path = filepath.Join(path, "main.cf")
		read = readFile
	}
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	c, err := ParseConfig(path, data)
	if err != nil {
		return nil, err
	}
	master := filepath.Join(filepath.Dir(path), "master.cf")
	data, err = readFile(master)
	if errors.Is(err, fs.ErrNotExist) || filepath.Base(path) != "main.cf" {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	return c, c.AddMaster(master, data)
}

// readFile reads a file of a configuration directory.
func readFile(name string) ([]byte, error) { return regular.Read(name, maxFile) }

// maxFile bounds a file of a configuration directory.
const maxFile = 64 << 20

// AddMaster takes in the content of master.cf. path is only used in errors.
func (c *Config) AddMaster(path string, data []byte) (err error) {
	c.Services, err = parseServices(path, data)
	return err
}

// AskPostconf takes the defaults of the Postfix that is installed here in place
// of our own. It reports whether there is one.
func (c *Config) AskPostconf(ctx context.Context) (bool, error) {
	program, err := exec.LookPath("postconf")
	if err != nil {
		return false, nil
	}
	out, err := exec.CommandContext(ctx, program, "-d").Output()
	if err != nil {
		return false, fmt.Errorf("%s -d: %w", program, err)
	}
	return true, c.TakeDefaults(out)
}

// TakeDefaults takes what "postconf -d" prints for the defaults.
func (c *Config) TakeDefaults(printed []byte) error {
	defaults := make(map[string]string)
	for _, line := range splitLines(string(printed)) {
		if name, value, err := nameValue(line); err == nil {
			defaults[name] = value
		}
	}
	if defaults["mail_version"] == "" {
		return fmt.Errorf("postconf -d does not name the version of Postfix")
	}
	c.defaults, c.complete = defaults, true
	return nil
}

// Value returns the value in force of a parameter of main.cf. It is "" for one
// that is neither set nor has a default that we know. Where Postfix could not
// expand the value it is as written.
func (c *Config) Value(name string) string { return c.ValueIn(Service{}, name) }

// ValueIn returns the value in force for one service, which -o may have changed.
func (c *Config) ValueIn(service Service, name string) string {
	raw, _ := c.lookup(service, name)
	value, err := c.expandIn(service, raw)
	if err != nil {
		return raw
	}
	return value
}

// IsSet reports whether main.cf sets the parameter, be it to nothing.
func (c *Config) IsSet(name string) bool {
	_, ok := c.settings[name]
	return ok
}

// Line is the line of main.cf that sets the parameter, 0 for none.
func (c *Config) Line(name string) int { return c.settings[name].line }

// Names are the parameters that main.cf sets, sorted.
func (c *Config) Names() []string {
	var names []string
	for name := range c.settings {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Version is that of Postfix, such as "3.7.11"; "" when it is not known.
func (c *Config) Version() string {
	if !c.complete {
		return ""
	}
	return c.Value("mail_version")
}

// Knows reports whether this Postfix has the parameter built in. Where the
// version is not known it says yes.
func (c *Config) Knows(name string) bool {
	_, ok := c.defaults[name]
	return ok || !c.complete
}

// Expand replaces $name and its kin in text, with the values in force.
func (c *Config) Expand(text string) (string, error) { return c.expandIn(Service{}, text) }

// Unsound says why Postfix could not expand what main.cf sets a parameter to;
// nil when it can.
func (c *Config) Unsound(name string) error {
	_, err := c.Expand(c.settings[name].value)
	return err
}

func (c *Config) expandIn(service Service, text string) (string, error) {
	return expand(text, func(name string) (string, bool) { return c.lookup(service, name) })
}

// lookup returns a value as it is written: from the service, else from main.cf,
// else the default.
func (c *Config) lookup(service Service, name string) (string, bool) {
	if value, ok := service.option(name); ok {
		return value, true
	}
	if service.Command != "" && (name == "process_name" || name == "service_name") {
		return map[string]string{"process_name": service.Command, "service_name": service.Name}[name], true
	}
	if set, ok := c.settings[name]; ok {
		return set.value, true
	}
	if host := c.settings["myhostname"].value; name == "mydomain" && !strings.Contains(host, "$") {
		if _, domain, found := strings.Cut(host, "."); found {
			return domain, true // as Postfix works it out
		}
	}
	value, ok := c.defaults[name]
	if host, short := strings.CutSuffix(value, ".localdomain"); name == "myhostname" && short && c.IsSet("mydomain") {
		return host + "." + c.settings["mydomain"].value, true // the host's name has no domain
	}
	return value, ok
}

// Known are the parameters whose defaults we know, sorted.
func (c *Config) Known() []string { return slices.Sorted(maps.Keys(c.defaults)) }

// Refers reports whether a setting of main.cf or master.cf names the parameter.
func (c *Config) Refers(name string) bool {
	for i := range len(name) {
		if !isNameByte(name[i]) {
			return false // it cannot be named
		}
	}
	mentions := regexp.MustCompile(`\$[({]?\s*` + regexp.QuoteMeta(name) + `([^A-Za-z0-9_]|$)`).MatchString
	for _, set := range c.settings {
		if mentions(set.value) {
			return true
		}
	}
	return slices.ContainsFunc(c.Services, func(s Service) bool {
		return slices.ContainsFunc(s.Options, func(o Parameter) bool { return mentions(o.Value) })
	})
}
