package report

import "fmt"

// maxNotes bounds how much is said of one report.
const maxNotes = 20

// notes are what is wrong with a report, each thing once, with how often and where first.
type notes struct {
	texts []string
	times map[string]*struct{ count, line int }
	more  int
}

// add notes something that was met in a line.
func (n *notes) add(line int, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if n.times == nil {
		n.times = make(map[string]*struct{ count, line int })
	}
	have, ok := n.times[text]
	switch {
	case ok:
		have.count++
	case len(n.texts) == maxNotes:
		n.more++
	default:
		n.texts = append(n.texts, text)
		n.times[text] = &struct{ count, line int }{1, line}
	}
}

// list returns the notes in the order in which they were first made.
func (n *notes) list() []string {
	var list []string
	for _, text := range n.texts {
		switch at := n.times[text]; {
		case at.line == 0:
		case at.count > 1:
			text = fmt.Sprintf("%s (%d times, first in line %d)", text, at.count, at.line)
		default:
			text = fmt.Sprintf("%s (line %d)", text, at.line)
		}
		list = append(list, text)
	}
	if n.more > 0 {
		list = append(list, fmt.Sprintf("and %d more", n.more))
	}
	return list
}
