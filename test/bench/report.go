package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// printDirect prints what the milters did when they were spoken to directly.
func (b *bench) printDirect(w io.Writer, done []scenario, all map[string]map[string]*result) {
	fmt.Fprintf(w, "## Milters, spoken to as Postfix does (unix socket, one message a connection, RSA-2048, unless named)\n\n")
	t := table{head: []string{"body and sessions", "milter", "messages/s", "message ms", "end p50 ms", "p99 ms", "max ms", "CPU µs", "peak MiB"}}
	var notes []string
	for _, sc := range done {
		for _, c := range b.in(sc) {
			r := all[sc.name][c.name]
			if r.cannot != "" {
				t.add(sc.name, c.name, "-", "-", "-", "-", "-", "-", "-")
				notes = append(notes, fmt.Sprintf("- %s, %s: %s", sc.name, c.name, firstLine(r.cannot)))
				continue
			}
			t.add(sc.name, c.name, number(median(r.rates)), number(median(r.whole)), number(median(r.p50)),
				number(median(r.p99)), number(r.max), number(median(r.cpu)), number(r.peak))
		}
	}
	t.print(w)
	if others := b.others(all); others > 10 {
		notes = append(notes, fmt.Sprintf("- The machine was busy with something else: up to %.0f %% of a run's time. Run this again when it is not.", others))
	}
	printNotes(w, notes)

	fmt.Fprintf(w, "## Ratios of messages/s within a round\n\n")
	t = table{head: []string{"body and sessions"}}
	var of []string
	for _, c := range b.contenders {
		if c.ours {
			for _, other := range b.contenders {
				if !other.ours {
					t.head = append(t.head, c.name+" / "+other.name)
					of = append(of, c.name+"/"+other.name)
				}
			}
		}
	}
	for _, sc := range done {
		row := []string{sc.name}
		for _, pair := range of {
			mine, theirs, _ := strings.Cut(pair, "/")
			row = append(row, times(ratio(all[sc.name][mine], all[sc.name][theirs])))
		}
		t.add(row...)
	}
	t.print(w)
}

// others is the most of the machine's time in any run that went elsewhere, in
// percent.
func (b *bench) others(all map[string]map[string]*result) (most float64) {
	for _, results := range all {
		for _, r := range results {
			most = max(most, r.others)
		}
	}
	return most
}

// ratio is that of messages per second, the median of those within a round; 0
// when there is none.
func ratio(a, b *result) float64 {
	if a == nil || b == nil || a.cannot != "" || b.cannot != "" {
		return 0
	}
	var ratios []float64
	for i := range min(len(a.rates), len(b.rates)) {
		ratios = append(ratios, a.rates[i]/b.rates[i])
	}
	if len(ratios) == 0 {
		return 0
	}
	return median(ratios)
}

func times(x float64) string {
	if x == 0 {
		return "-"
	}
	return number(x) + "x"
}

func printNotes(w io.Writer, notes []string) {
	for _, note := range notes {
		fmt.Fprintln(w, note)
	}
	if len(notes) > 0 {
		fmt.Fprintln(w)
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// printPostfix prints what was measured through Postfix.
func (b *bench) printPostfix(w io.Writer, one, many map[string]*result) {
	fmt.Fprintf(w, "## Through Postfix (10 sessions, 4 KiB, RSA-2048, queue in memory, delivery by discard)\n\n")
	t := table{head: []string{"milter", "one a session: messages/s", "milter's share of CPU %", "many a session: messages/s", "milter's share of CPU %"}}
	var notes []string
	for _, c := range b.behindPostfix() {
		row := []string{c.name}
		for _, r := range []*result{one[c.name], many[c.name]} {
			if r.cannot != "" {
				row = append(row, "-", "-")
				notes = append(notes, fmt.Sprintf("- through Postfix, %s: %s", c.name, firstLine(r.cannot)))
				continue
			}
			row = append(row, number(median(r.rates)), number(median(r.cpu)))
		}
		t.add(row...)
	}
	t.print(w)
	printNotes(w, notes)
}

// printScale prints what many domains cost.
func printScale(w io.Writer, scales []*scale) {
	fmt.Fprintf(w, "## Many domains (RSA-2048 key each, 4 KiB, 8 sessions, DNS not asked)\n\n")
	t := table{head: []string{"domains", "layout", "first signature ms", "settled after ms", "dropped key used after ms", "idle MiB", "after reload MiB", "peak MiB",
		"first domain /s", "last /s", "random /s", "inotify watches"}}
	for _, sc := range scales {
		ms := func(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }
		t.add(fmt.Sprint(sc.domains), sc.layout, ms(sc.first), ms(sc.settled), ms(sc.drop), number(sc.idle), number(sc.reloaded), number(sc.peak),
			number(median(sc.rates["first"])), number(median(sc.rates["last"])), number(median(sc.rates["random"])), fmt.Sprint(sc.watches))
	}
	t.print(w)
}
