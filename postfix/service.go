package postfix

import (
	"fmt"
	"path/filepath"
	"strings"

	"signpost/keystore/finding"
)

// A Service is one entry of master.cf.
type Service struct {
	Line    int    // where it starts, from 1
	Name    string // "smtp", "587", "127.0.0.1:10025", "cleanup"
	Type    string // "inet", "unix", "pass", ...
	Chroot  string // "y", "n" or "-", as it is written
	Command string // the program, without its directory: "smtpd"
	Options []Parameter
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
			return nil, finding.WithHint(
				fmt.Errorf("%s: line %d: a service needs 8 fields, there are %d", path, line, len(fields)),
				"see master(5)")
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
// argument that is not an option.
func parseOptions(args []string) ([]Parameter, error) {
	var options []Parameter
	for i := 0; i < len(args) && strings.HasPrefix(args[i], "-") && args[i] != "--"; i++ {
		text, joined := strings.CutPrefix(args[i], "-o")
		switch {
		case !joined:
			continue
		case text == "" && i+1 == len(args):
			return nil, finding.WithHint(fmt.Errorf("there is nothing after -o"), "write -o name=value")
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
			return nil, finding.WithHint(fmt.Errorf("after -o: %w", err),
				"write -o name=value without blanks")
		}
		options = append(options, Parameter{Name: name, Value: value})
	}
	return options, nil
}
