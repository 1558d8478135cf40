package rotation

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Findings go from node to node as text. The first line is
//
//	signpost findings 1 NODE PLACE
//
// with the place from which to go on the next time, a finding is on each further line, and
// the last one is findingsEnd.
const (
	findingsHeader = "signpost findings 1"
	findingsEnd    = "end"
)

// String returns the place as parsePlace reads it.
func (m newsMark) String() string { return fmt.Sprintf("%s.%d", m.epoch, m.next) }

// parsePlace reads a place; one that cannot be read is the start of another process.
func parsePlace(text string) (m newsMark) {
	epoch, number, _ := strings.Cut(text, ".")
	next, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return m
	}
	return newsMark{epoch, next}
}

// WriteFindings writes what this node has found since a place, and all that it knows where
// that is too long ago or the place is none of its own.
func (c *Checker) WriteFindings(w io.Writer, since string) error {
	out := bufio.NewWriter(w)
	news, place, ok := c.book.news.since(parsePlace(since))
	fmt.Fprintln(out, findingsHeader, c.fleet.self, place)
	for _, f := range news {
		fmt.Fprintln(out, f)
	}
	if !ok {
		for f := range c.book.findings() {
			if _, err := fmt.Fprintln(out, f); err != nil {
				return err
			}
		}
	}
	fmt.Fprintln(out, findingsEnd)
	return out.Flush()
}

// Own reports whether a place is one of this process.
func (c *Checker) Own(place string) bool { return parsePlace(place).epoch == c.book.news.epoch }

// ReadFindings reads what WriteFindings writes, calls found with some at a time, and returns
// whose they are and the place from which to go on. With an error there is no place: what
// came before it counts, and all has to be read again.
func ReadFindings(from io.Reader, found func([]Finding)) (node, place string, err error) {
	lines := bufio.NewScanner(from)
	lines.Scan()
	rest, ok := strings.CutPrefix(lines.Text(), findingsHeader+" ")
	node, next, _ := strings.Cut(rest, " ")
	if !ok || !validNode(node) {
		return "", "", errors.Join(lines.Err(),
			fmt.Errorf("it does not begin with %q and the name of a node", findingsHeader))
	}
	var batched []Finding
	defer func() { found(batched) }()
	for lines.Scan() {
		if lines.Text() == findingsEnd {
			return node, next, nil
		}
		f, err := ParseFinding(lines.Text())
		if err != nil {
			return node, "", err
		}
		if batched = append(batched, f); len(batched) == batch {
			found(batched)
			batched = nil
		}
	}
	if err = lines.Err(); err == nil {
		err = io.ErrUnexpectedEOF
	}
	return node, "", err
}
