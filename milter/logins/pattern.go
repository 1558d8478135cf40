package logins

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"signpost/keystore/finding"
)

// rule is a line of a pattern table: a pattern and what it results in, or an IF.
type rule struct {
	conditions []condition // all must hold
	result     []piece
	end        int // of an IF: the rule after its ENDIF
	branch     bool
}

// condition is a pattern that must match, or must not.
type condition struct {
	pattern *regexp.Regexp
	not     bool
}

// piece is a part of a result: text, or the number of a substring of the match.
type piece struct {
	text  string
	group int
}

// matching returns the result of the first rule whose patterns match.
func matching(rules []rule, key string) (string, bool) {
	for i := 0; i < len(rules); i++ {
		r := &rules[i]
		switch holds := r.holds(key); {
		case r.branch && !holds:
			i = r.end - 1
		case !r.branch && holds:
			return r.expand(key), true
		}
	}
	return "", false
}

func (r *rule) holds(key string) bool {
	for _, c := range r.conditions {
		if c.pattern.MatchString(key) == c.not {
			return false
		}
	}
	return true
}

// expand fills in the substrings of the first pattern's match. Where one has several words
// nobody is named: they would be several logins, by the choice of who writes the address.
func (r *rule) expand(key string) string {
	var b strings.Builder
	var groups []string
	for _, p := range r.result {
		if p.group == 0 {
			b.WriteString(p.text)
			continue
		}
		if groups == nil {
			groups = r.conditions[0].pattern.FindStringSubmatch(key)
		}
		if strings.ContainsFunc(groups[p.group], separates) {
			return ""
		}
		b.WriteString(groups[p.group])
	}
	return b.String()
}

// compiler makes a pattern of its text and the flags after it.
type compiler func(pattern, flags string) (*regexp.Regexp, error)

// parsePatterns reads a table of rules: /pattern/flags result, !/pattern/flags result, and
// if /pattern/flags ... endif, which nest (regexp_table(5)). A rule that Postfix ignores with
// a warning is an error.
func parsePatterns(text string, compile compiler) (*table, error) {
	t := &table{rules: []rule{}}
	var open, lines []int // IFs without their ENDIF, and where they are
	err := eachLine(text, func(number int, line string) error {
		word, rest := cutWord(line)
		switch {
		case strings.EqualFold(word, "if"):
			c, after, err := cutCondition(strings.TrimLeftFunc(rest, isBlank), compile)
			if err != nil {
				return err
			}
			if strings.TrimFunc(after, isBlank) != "" {
				return errors.New("there is text after the pattern of an if")
			}
			open, lines = append(open, len(t.rules)), append(lines, number)
			t.rules = append(t.rules, rule{conditions: []condition{c}, branch: true})
		case strings.EqualFold(word, "endif"):
			switch {
			case len(open) == 0:
				return errors.New("an endif has no if")
			case strings.TrimFunc(rest, isBlank) != "":
				return errors.New("there is text after an endif")
			}
			t.rules[open[len(open)-1]].end = len(t.rules)
			open, lines = open[:len(open)-1], lines[:len(open)-1]
		case word != "":
			return finding.WithHint(fmt.Errorf("invalid pattern %.40q", line), "write /PATTERN/ LOGIN")
		default:
			r, err := parseRule(line, compile)
			if err != nil {
				return err
			}
			t.rules = append(t.rules, r)
		}
		return nil
	})
	if err == nil && len(open) > 0 {
		err = fmt.Errorf("line %d: the if has no endif", lines[len(open)-1])
	}
	return t, err
}

// cutWord cuts off the letters and digits that a line begins with.
func cutWord(line string) (word, rest string) {
	n := strings.IndexFunc(line, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9')
	})
	if n < 0 {
		n = len(line)
	}
	return line[:n], line[n:]
}

func parseRule(line string, compile compiler) (rule, error) {
	first, rest, err := cutCondition(line, compile)
	if err != nil {
		return rule{}, err
	}
	r := rule{conditions: []condition{first}}
	if strings.HasPrefix(rest, "!") { // /this/!/but not that/ result
		second, after, err := cutCondition(rest, compile)
		if err != nil {
			return rule{}, err
		}
		r.conditions, rest = append(r.conditions, second), after
	}
	if r.result, err = parseResult(strings.TrimFunc(rest, isBlank)); err != nil {
		return rule{}, err
	}
	for _, p := range r.result {
		switch {
		case p.group > 0 && first.not:
			return rule{}, fmt.Errorf("$%d stands for nothing where the pattern must not match", p.group)
		case p.group > first.pattern.NumSubexp():
			return rule{}, fmt.Errorf("$%d is more than the pattern has in parentheses", p.group)
		}
	}
	return r, nil
}

// cutCondition reads a pattern between two of the same character, with its flags.
func cutCondition(text string, compile compiler) (c condition, rest string, err error) {
	for text != "" && (text[0] == '!' || isBlank(rune(text[0]))) {
		c.not = c.not != (text[0] == '!')
		text = text[1:]
	}
	if text == "" {
		return c, "", errors.New("there is no pattern")
	}
	delimiter, n := text[0], 1
	for ; n < len(text) && text[n] != delimiter; n++ {
		if text[n] == '\\' {
			n++
		}
	}
	if n >= len(text) {
		return c, "", fmt.Errorf("the pattern has no second %q", string(delimiter))
	}
	pattern, rest := text[1:n], text[n+1:]
	n = strings.IndexFunc(rest, func(c rune) bool { return c == '!' || isBlank(c) })
	if n < 0 {
		n = len(rest)
	}
	if c.pattern, err = compile(pattern, rest[:n]); err != nil {
		return c, "", fmt.Errorf("pattern %q: %w", pattern, err)
	}
	return c, rest[n:], nil
}

// parseResult takes a result apart: $1, ${1} and $(1) are substrings, $$ is a dollar.
func parseResult(text string) (pieces []piece, err error) {
	if len(listed(text)) == 0 {
		return nil, finding.WithHint(errors.New("it has no login"), "write /PATTERN/ LOGIN")
	}
	for text != "" {
		before, after, found := strings.Cut(text, "$")
		if before != "" {
			pieces = append(pieces, piece{text: before})
		}
		if !found {
			break
		}
		if text, found = strings.CutPrefix(after, "$"); found {
			pieces = append(pieces, piece{text: "$"})
			continue
		}
		name := ""
		switch {
		case strings.HasPrefix(after, "{"):
			name, text, found = strings.Cut(after[1:], "}")
		case strings.HasPrefix(after, "("):
			name, text, found = strings.Cut(after[1:], ")")
		default:
			name, text = cutWord(after)
			found = true
		}
		n, err := strconv.Atoi(name)
		if err != nil || n < 1 || !found {
			return nil, finding.WithHint(fmt.Errorf("unknown substring $%.20s", after), "write $1, ${1}, or $$ for a dollar")
		}
		pieces = append(pieces, piece{group: n})
	}
	return pieces, nil
}
