package migrate

import (
	"errors"
	"fmt"
	"strings"

	"signpost/keystore/finding"
)

// dataset is a set or a table of OpenDKIM, see opendkim(8).
type dataset struct {
	kind    string // file, refile or csl
	entries []entry
	// skipped are lines of a refile that begin with white space: OpenDKIM
	// ignores them silently.
	skipped []Place
}

// entry is an element with its value, which is empty in a set.
type entry struct {
	at         Place
	key, value string
}

// datasetKind says what a specification names, by the rules of opendkim(8).
func datasetKind(spec string) (kind, rest string) {
	kind, rest, typed := strings.Cut(spec, ":")
	if !typed || strings.Contains(kind, ",") {
		switch {
		case strings.HasSuffix(spec, ".db"):
			return "db", spec
		case strings.HasPrefix(spec, "/"):
			return "file", spec
		}
		return "csl", spec
	}
	return strings.ToLower(kind), rest
}

// dataset reads what a specification in a configuration names.
func (r *reader) dataset(spec string, at Place) (dataset, error) {
	kind, rest := datasetKind(spec)
	switch kind {
	case "csl":
		return parseList(rest, at), nil
	case "file", "refile":
		path := r.path(rest)
		data, _, err := r.read(path, maxConfig)
		if err != nil {
			return dataset{}, fmt.Errorf("%s: %w", path, err)
		}
		return parseTable(kind, path, data), nil
	case "db", "bdb":
		return dataset{}, finding.WithHint(errors.New("a Berkeley database is not read"),
			"export it as text with db_dump -p and give a file")
	case "dsn":
		return dataset{}, finding.WithHint(errors.New("an SQL database is not queried"),
			"export the table as text and give a file")
	case "ldap", "ldaps", "ldapi":
		return dataset{}, finding.WithHint(errors.New("LDAP is not queried"),
			"export the table as text and give a file")
	case "lua", "memcache", "erlang", "mdb", "socket", "repute":
		return dataset{}, finding.WithHint(fmt.Errorf("a data set of type %s is not queried", kind),
			"export the table as text and give a file")
	}
	return dataset{}, finding.WithHint(fmt.Errorf("%q is not a type of data set, and OpenDKIM "+
		"does not start with it", kind), "put csl: before a list")
}

// parseTable reads a file of the kind "file" or "refile".
func parseTable(kind, file string, data []byte) dataset {
	set := dataset{kind: kind}
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		if end := strings.IndexAny(line, "#\n"); end >= 0 {
			line = line[:end]
		}
		at := Place{file, n}
		if strings.Trim(line, space) == "" {
			continue
		}
		if kind == "refile" && strings.ContainsRune(space, rune(line[0])) {
			set.skipped = append(set.skipped, at)
			continue
		}
		line = strings.Trim(line, space)
		end := strings.IndexAny(line, space)
		if end < 0 {
			end = len(line)
		}
		set.entries = append(set.entries, entry{at, line[:end], strings.Trim(line[end:], space)})
	}
	return set
}

// parseList reads a list with commas; an element may have a value after "=".
func parseList(list string, at Place) dataset {
	set := dataset{kind: "csl"}
	for element := range strings.SplitSeq(list, ",") {
		key, value, _ := strings.Cut(element, "=")
		if key = strings.Trim(key, space); key != "" {
			set.entries = append(set.entries, entry{at, key, strings.Trim(value, space)})
		}
	}
	return set
}

// keys returns the elements of a set.
func (d dataset) keys() []string {
	keys := make([]string, len(d.entries))
	for i, e := range d.entries {
		keys[i] = e.key
	}
	return keys
}

// space is white space for isspace(3).
const space = " \t\n\v\f\r"
