package postfix

import (
	"fmt"
	"strconv"
	"strings"
)

// Bounds of an expansion. Postfix has the first one; the others keep a file
// such as "a = $b$b", "b = $c$c" and so on from filling the memory or, where the
// last is empty, from taking forever.
const (
	expandDepth = 100
	expandBytes = 1 << 20
	expandSteps = 1 << 16
)

// An expander replaces $name and its kin as postconf(5) describes.
type expander struct {
	lookup func(name string) (value string, known bool)
	out    strings.Builder
	steps  *int // expressions so far
}

// expand returns text with each $name, ${name}, $(name), ${name?text},
// ${name:text}, ${name?{text}:{text}} and ${{a} == {b}?{text}:{text}} replaced.
// What is not known is empty. Postfix stops where this returns an error.
func expand(text string, lookup func(string) (string, bool)) (string, error) {
	e := &expander{lookup: lookup, steps: new(int)}
	err := e.text(text, 0)
	return e.out.String(), err
}

// text copies text and evaluates the expressions in it.
func (e *expander) text(text string, depth int) error {
	if depth > expandDepth {
		return fmt.Errorf("it refers to itself, or through more than %d others", expandDepth)
	}
	for {
		literal, rest, found := strings.Cut(text, "$")
		if e.out.Len()+len(literal) > expandBytes {
			return fmt.Errorf("it becomes longer than %d bytes", expandBytes)
		}
		e.out.WriteString(literal)
		if !found {
			return nil
		}
		if strings.HasPrefix(rest, "$") {
			e.out.WriteByte('$')
			text = rest[1:]
			continue
		}
		expression, rest, err := cutExpression(rest)
		if err != nil {
			return err
		}
		if err := e.expression(expression, depth+1); err != nil {
			return err
		}
		text = rest
	}
}

// cutExpression takes what follows a "$" off the text: a name, or all between
// balanced parentheses or braces.
func cutExpression(text string) (expression, rest string, err error) {
	switch {
	case strings.HasPrefix(text, "{"):
		expression, rest, err = cutBalanced(text, '{', '}')
	case strings.HasPrefix(text, "("):
		expression, rest, err = cutBalanced(text, '(', ')')
	default:
		end := 0
		for end < len(text) && isNameByte(text[end]) {
			end++
		}
		expression, rest = text[:end], text[end:]
	}
	if err == nil && expression == "" {
		err = fmt.Errorf("missing name after $")
	}
	return expression, rest, err
}

// cutBalanced takes an operand off a text that starts with its opening bracket.
func cutBalanced(text string, open, shut byte) (inside, rest string, err error) {
	level := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case open:
			level++
		case shut:
			level--
		}
		if level == 0 {
			return text[1:i], text[i+1:], nil
		}
	}
	return "", "", fmt.Errorf("a %q is never closed", open)
}

// expression evaluates what stands between the braces of ${...}.
func (e *expander) expression(text string, depth int) error {
	if depth > expandDepth {
		return fmt.Errorf("it refers to itself, or through more than %d others", expandDepth)
	}
	if *e.steps++; *e.steps > expandSteps {
		return fmt.Errorf("it has more than %d expressions to replace", expandSteps)
	}
	value, rest, err := "", "", error(nil)
	if trimmed := trimBlank(text); strings.HasPrefix(trimmed, "{") {
		value, rest, err = e.comparison(trimmed, depth)
	} else {
		value, rest, err = e.parameter(trimmed)
	}
	if err != nil {
		return err
	}
	if rest == "" {
		// A result such as "true" has no $ in it.
		return e.text(value, depth+1)
	}
	return e.choice(rest, value != "", depth)
}

// parameter looks up the name that text begins with.
func (e *expander) parameter(text string) (value, rest string, err error) {
	end := 0
	for end < len(text) && isNameByte(text[end]) {
		end++
	}
	name, rest := text[:end], trimBlank(text[end:])
	if rest != "" && rest[0] != '?' && rest[0] != ':' {
		return "", "", fmt.Errorf("invalid parameter name %q", text)
	}
	value, _ = e.lookup(name)
	return value, rest, nil
}

// choice evaluates "?text", ":text" and "?{text}:{text}". Only operands in
// braces can be two.
func (e *expander) choice(text string, holds bool, depth int) error {
	for _, mark := range []byte("?:") {
		if text == "" || text[0] != mark {
			continue
		}
		operand, rest := text[1:], ""
		if trimmed := trimBlank(operand); strings.HasPrefix(trimmed, "{") {
			var err error
			if operand, rest, err = cutBalanced(trimmed, '{', '}'); err != nil {
				return err
			}
			rest = trimBlank(rest)
		}
		if holds == (mark == '?') {
			if err := e.text(operand, depth+1); err != nil {
				return err
			}
		}
		text = rest
	}
	if text != "" {
		return fmt.Errorf("%q is not expected there", text)
	}
	return nil
}

// comparison evaluates "{a} == {b}", with any of the operators and, for levels
// of compatibility, "<=level" and the like. The value is "true" or empty.
func (e *expander) comparison(text string, depth int) (value, rest string, err error) {
	left, rest, err := cutBalanced(text, '{', '}')
	if err != nil {
		return "", "", err
	}
	rest = trimBlank(rest)
	operator := rest[:len(rest)-len(strings.TrimLeft(rest, "<>!=?+-*/~&|%"))]
	rest = rest[len(operator):]
	suffix := rest[:len(rest)-len(strings.TrimLeftFunc(rest, isAlnum))]
	rest = trimBlank(rest[len(suffix):])
	if !strings.HasPrefix(rest, "{") || suffix != "" && suffix != "level" {
		return "", "", fmt.Errorf("invalid comparison %q", text)
	}
	right, rest, err := cutBalanced(rest, '{', '}')
	if err != nil {
		return "", "", err
	}
	if left, err = e.operand(left, depth); err != nil {
		return "", "", err
	}
	if right, err = e.operand(right, depth); err != nil {
		return "", "", err
	}
	order := strings.Compare(left, right)
	if suffix == "level" {
		order, err = compareLevels(left, right)
	} else if isNumber(left) && isNumber(right) {
		order, err = compareNumbers(left, right)
	}
	if err != nil {
		return "", "", err
	}
	holds, known := map[string]bool{
		"==": order == 0, "!=": order != 0, "<": order < 0, "<=": order <= 0, ">=": order >= 0, ">": order > 0,
	}[operator]
	if !known {
		return "", "", fmt.Errorf("invalid comparison %q", text)
	}
	if holds {
		value = "true"
	}
	rest = trimBlank(rest)
	if rest != "" && rest[0] != '?' && rest[0] != ':' {
		return "", "", fmt.Errorf("%q is not expected there", rest)
	}
	return value, rest, nil
}

// operand is one side of a comparison.
func (e *expander) operand(text string, depth int) (string, error) {
	inner := &expander{lookup: e.lookup, steps: e.steps}
	err := inner.text(text, depth+1)
	return inner.out.String(), err
}

func compareNumbers(a, b string) (int, error) {
	x, errX := strconv.ParseInt(a, 10, 64)
	y, errY := strconv.ParseInt(b, 10, 64)
	if errX != nil || errY != nil {
		return 0, fmt.Errorf("%q or %q is too large a number", a, b)
	}
	return compareInts(x, y), nil
}

// compareLevels compares versions such as 2, 3.6 and 3.6.1.
func compareLevels(a, b string) (int, error) {
	x, err := level(a)
	if err != nil {
		return 0, err
	}
	y, err := level(b)
	if err != nil {
		return 0, err
	}
	for i := range x {
		if order := compareInts(x[i], y[i]); order != 0 {
			return order, nil
		}
	}
	return 0, nil
}

// level parses a level of compatibility.
func level(text string) ([3]int64, error) {
	var out [3]int64
	parts := strings.Split(text, ".")
	if len(parts) > len(out) {
		return out, fmt.Errorf("invalid compatibility level %q", text)
	}
	for i, part := range parts {
		// Postfix reads each part with strtol(3), which takes white space and a sign.
		n, err := strconv.ParseInt(strings.TrimLeft(part, " \t\n\v\f\r"), 10, 64)
		if err != nil || n < 0 || i > 0 && n > 1023 || n >= 1<<43 {
			return out, fmt.Errorf("invalid compatibility level %q", text)
		}
		out[i] = n
	}
	return out, nil
}

func compareInts(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// trimBlank cuts what Postfix treats as blank in an expression.
func trimBlank(s string) string { return strings.TrimLeft(s, " \t\r\n") }

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func isNameByte(c byte) bool { return c == '_' || isAlnum(rune(c)) }

func isAlnum(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}
