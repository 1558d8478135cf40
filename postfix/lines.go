package postfix

import "strings"

// A statement is one logical line of main.cf or master.cf: text that starts in
// the first column and the lines that continue it.
type statement struct {
	lines []int  // indexes of its physical lines; comments and blank lines between them are not its own
	text  string // as Postfix reads it: the lines joined, without the line ends
}

// splitLines cuts data after each newline. The last line may lack one.
func splitLines(data string) []string {
	lines := strings.SplitAfter(data, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// statements joins physical lines into logical ones as readllines() of Postfix
// does: a line that is blank or whose first character after white space is "#"
// is ignored, also between a line and its continuation; a line that starts
// with white space continues the text before it. Where there is no text before
// it, Postfix warns and ignores the whole logical line, and so do we.
func statements(lines []string) []statement {
	var out []statement
	stray := true
	for i, line := range lines {
		switch {
		case isComment(line):
		case !isSpace(line[0]):
			stray = false
			out = append(out, statement{lines: []int{i}, text: strings.TrimSuffix(line, "\n")})
		case !stray:
			last := &out[len(out)-1]
			last.lines = append(last.lines, i)
			last.text += strings.TrimSuffix(line, "\n")
		}
	}
	return out
}

// isComment reports whether Postfix ignores the line.
func isComment(line string) bool {
	trimmed := TrimSpace(line)
	return trimmed == "" || trimmed[0] == '#'
}

// isSpace is isspace(3) for ASCII, which is what Postfix goes by.
func isSpace(c byte) bool {
	return c == ' ' || '\t' <= c && c <= '\r'
}

func TrimSpace(s string) string {
	return strings.Trim(s, " \t\n\v\f\r")
}
