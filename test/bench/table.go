package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// A table is printed as Markdown that reads well as it is.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// print aligns all columns but the first to the right.
func (t *table) print(w io.Writer) {
	width := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell), 3)
		}
	}
	line := func(row []string) {
		for i, cell := range row {
			blank := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				fmt.Fprintf(w, "| %s%s ", cell, blank)
			} else {
				fmt.Fprintf(w, "| %s%s ", blank, cell)
			}
		}
		fmt.Fprintln(w, "|")
	}
	line(t.head)
	for i := range width {
		if i == 0 {
			fmt.Fprint(w, "|", strings.Repeat("-", width[i]+2))
		} else {
			fmt.Fprint(w, "|", strings.Repeat("-", width[i]+1), ":")
		}
	}
	fmt.Fprintln(w, "|")
	for _, row := range t.rows {
		line(row)
	}
	fmt.Fprintln(w)
}

// number has three digits that count, or all before the point.
func number(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}
