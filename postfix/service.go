package postfix

import (
	"fmt"
	"path/filepath"
	"strings"
)

// A Service is one entry of master.cf.
type Service struct {
	Line    int    // where it starts, from 1
	Name    string // "smtp", "587", "127.0.0.1:10025", "cleanup"
	Type    string // "inet", "unix", "pass", ...
	Chroot  string // "y", "n" or "-", as it is written
	Command string // the program, without its directory: "smtpd"
	Options []Setting
}

// option returns what a "-o name=value" of the service says; the last one wins.
func (s Service) option(name string) (value string, ok bool) {
	for _, o := range s.Options {
		if o.Name == name {
			value, ok = o.Value, true
		}
	}
	return value, ok
}

// String names the service as master.cf does.
func (s Service) String() string { return s.Name + "/" + s.Type }

// parseServices reads the content of master.cf. path is only used in errors.
func parseServices(path string, data []byte) ([]Service, error) {
	var services []Service
	for _, s := range statements(splitLines(string(data))) {
		fields := words(s.text)
		line := s.lines[0] + 1
		if len(fields) < 8 {
			return nil, fmt.Errorf("%s: line %d: a service needs 8 fields, there are %d; hint: see master(5)", path, line, len(fields))
		}
		service := Service{Line: line, Name: fields[0], Type: fields[1], Chroot: fields[4], Command: filepath.Base(fields[7])}
		options, err := parseOptions(fields[8:])
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, line, err)
		}
		service.Options = options
		services = append(services, service)
	}
	return services, nil
}

// parseOptions reads "-o name=value" and "-o { name = value }" up to the first
// argument that is no option.
func parseOptions(args []string) ([]Setting, error) {
	var options []Setting
	for i := 0; i < len(args) && strings.HasPrefix(args[i], "-") && args[i] != "--"; i++ {
		text, joined := strings.CutPrefix(args[i], "-o")
		switch {
		case !joined:
			continue
		case text == "" && i+1 == len(args):
			return nil, fmt.Errorf("there is nothing after -o; hint: write -o name=value")
		case text == "":
			i++
			text = args[i]
		}
		if inside, rest, ok := braced(text); ok && rest == "" {
			text = inside
		}
		name, value, err := nameValue(text)
		if err != nil {
			// The text is not shown: it may hold a password.
			return nil, fmt.Errorf("after -o: %w; hint: write -o name=value without blanks", err)
		}
		options = append(options, Setting{Name: name, Value: value})
	}
	return options, nil
}

// words splits a line at white space outside of braces.
func words(text string) []string { return splitOutside(text, " \t\r\n\v\f") }

// List splits a value at commas and white space outside of braces, as Postfix
// does with lists.
func List(value string) []string { return splitOutside(value, ", \t\r\n\v\f") }

func splitOutside(text, separators string) []string {
	var out []string
	level, start := 0, -1
	for i := 0; i < len(text); i++ {
		switch {
		case level == 0 && strings.IndexByte(separators, text[i]) >= 0:
			if start >= 0 {
				out = append(out, text[start:i])
			}
			start = -1
			continue
		case text[i] == '{':
			level++
		case text[i] == '}' && level > 0:
			level--
		}
		if start < 0 {
			start = i
		}
	}
	if start >= 0 {
		out = append(out, text[start:])
	}
	return out
}

// braced takes what stands in braces off the start of a text.
func braced(text string) (inside, rest string, ok bool) {
	if !strings.HasPrefix(text, "{") {
		return "", "", false
	}
	inside, rest, err := cutBalanced(text, '{', '}')
	return inside, rest, err == nil
}
