package logins

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"signpost/keystore/finding"
)

// table is one lookup table: entries with fixed keys, or rules with patterns, or one result
// for every key.
type table struct {
	entries map[string]string
	rules   []rule
	always  string
}

func (t *table) size() int {
	if t.always != "" {
		return 1
	}
	return len(t.entries) + len(t.rules)
}

// find looks up a key that is a whole address or part of one.
func (t *table) find(key string, part bool) (result string, found bool) {
	switch {
	case t.always != "":
		return t.always, true
	case t.entries != nil:
		result, found = t.entries[folded(key)]
		return result, found
	case part:
		return "", false
	}
	return matching(t.rules, key)
}

// add adds an entry. A key that is there twice is an error for smtpd(8) too.
func (t *table) add(key, value string) error {
	key = folded(key)
	switch _, there := t.entries[key]; {
	case len(listed(value)) == 0:
		return fmt.Errorf("%q has no login", key)
	case there:
		return finding.WithHint(fmt.Errorf("%q is there twice", key), "name all its logins in one entry")
	}
	t.entries[key] = value
	return nil
}

// parseTexthash reads a text file as texthash does: a key, white space, logins.
func parseTexthash(text string) (*table, error) {
	t := &table{entries: make(map[string]string)}
	return t, eachLine(text, func(_ int, line string) error {
		n := keyEnd(line)
		if n < 0 {
			return errors.New("a double quote has no second")
		}
		key, value := line[:n], strings.TrimFunc(line[n:], isBlank)
		switch {
		case value == "":
			return finding.WithHint(fmt.Errorf("%q has no login", key), "write ADDRESS LOGIN")
		case strings.HasSuffix(key, ":"):
			return finding.WithHint(fmt.Errorf("%q ends in a colon", key), "write ADDRESS LOGIN, not as in aliases")
		}
		return t.add(key, value)
	})
}

// keyEnd returns where the key of a line ends: at white space outside of double quotes.
func keyEnd(line string) int {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case isBlank(rune(c)) && !quoted:
			return i
		}
	}
	if quoted {
		return -1
	}
	return len(line)
}

// eachLine hands out the logical lines of a file (postconf(5)): one that begins with white
// space goes on with the line before; empty lines and comments do not count. An error is
// that of the line where the logical one begins.
func eachLine(text string, do func(number int, line string) error) error {
	logical, begin := "", 0
	flush := func() error {
		line := strings.TrimFunc(logical, isBlank)
		if line == "" {
			return nil
		}
		err := do(begin, line)
		if logical = ""; err != nil {
			return fmt.Errorf("line %d: %w", begin, err)
		}
		return nil
	}
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		content := strings.TrimLeftFunc(line, isBlank)
		switch {
		case content == "" || content[0] == '#':
			continue
		case !utf8.ValidString(line) || strings.Contains(line, "\x00"):
			return fmt.Errorf("line %d: it is not text in UTF-8", number)
		case len(content) < len(line) && logical == "":
			return finding.WithHint(fmt.Errorf("line %d: it begins with white space and has no line to go on with", number),
				"begin it at the first column")
		case len(content) < len(line):
			logical += line
			continue
		}
		if err := flush(); err != nil {
			return err
		}
		logical, begin = line, number
	}
	return flush()
}
