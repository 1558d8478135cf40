package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// answerList writes a JSON object with one list, as printJSON does, but each element
// as it comes: of a hundred thousand domains not all can be held.
type answerList struct {
	out  io.Writer
	name string
	n    int
}

func (l *answerList) add(v any) error {
	var element bytes.Buffer
	enc := json.NewEncoder(&element)
	enc.SetEscapeHTML(false)
	enc.SetIndent("    ", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	before := ",\n    "
	if l.n == 0 {
		before = fmt.Sprintf("{\n  %q: [\n    ", l.name)
	}
	l.n++
	_, err := fmt.Fprintf(l.out, "%s%s", before, bytes.TrimSuffix(element.Bytes(), []byte("\n")))
	return err
}

func (l *answerList) end() error {
	text := "\n  ]\n}\n"
	if l.n == 0 {
		text = fmt.Sprintf("{\n  %q: []\n}\n", l.name)
	}
	_, err := io.WriteString(l.out, text)
	return err
}
