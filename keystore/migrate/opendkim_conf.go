package migrate

import (
	"fmt"
	"strings"

	"signpost/keystore/finding"
)

// directive is a line of opendkim.conf.
type directive struct {
	at          Place
	name, value string
}

// directives are in order; the last one of a name holds.
type directives []directive

// parseConf reads opendkim.conf: a name, white space and a value on a line; "#"
// begins a comment anywhere. A name without a value has an empty one.
func parseConf(file string, data []byte) directives {
	var all directives
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		if end := strings.IndexAny(line, "#\r\n"); end >= 0 {
			line = line[:end]
		}
		line = strings.Trim(line, " \t")
		if line == "" {
			continue
		}
		end := strings.IndexAny(line, " \t")
		if end < 0 {
			end = len(line)
		}
		all = append(all, directive{Place{file, n}, line[:end], strings.Trim(line[end:], " \t")})
	}
	return all
}

// get returns the directive in force. Case does not matter.
func (d directives) get(name string) (directive, bool) {
	for i := len(d) - 1; i >= 0; i-- {
		if strings.EqualFold(d[i].name, name) {
			return d[i], true
		}
	}
	return directive{}, false
}

// on reports whether a switch is on; OpenDKIM looks at the first letter only.
func (d directive) on() bool { return d.value != "" && strings.ContainsRune("tTyY1", rune(d.value[0])) }

// conf reads a configuration with what it includes.
func (r *reader) conf(path string, depth int) (directives, error) {
	const mostNested = 5
	data, _, err := r.read(path, maxConfig)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var all directives
	for _, d := range parseConf(path, data) {
		if d.value == "" {
			r.report(finding.Fault, "import-syntax", d.at, fmt.Sprintf("%s has no value", d.name),
				"OpenDKIM does not start with it", "")
			continue
		}
		if !strings.EqualFold(d.name, "Include") {
			all = append(all, d)
			continue
		}
		if depth == mostNested {
			r.report(finding.Fault, "import-include", d.at, "files are included more than five deep",
				"what is in "+d.value+" is not carried over", "")
			continue
		}
		included, err := r.conf(r.path(d.value), depth+1)
		if err != nil {
			r.report(finding.Fault, "import-include", d.at, fmt.Sprintf("Include %s: %v", d.value, err),
				"what is in it is not carried over", "")
			continue
		}
		all = append(all, included...)
	}
	return all, nil
}
