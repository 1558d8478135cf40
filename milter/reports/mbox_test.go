package reports

import (
	"bufio"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestMbox(t *testing.T) {
	t.Parallel()
	const from = "From a@example.org Sat Nov 28 10:00:00 2026\n"
	long := strings.Repeat("x", 10_000)
	for name, test := range map[string]struct {
		in   string
		want []string
	}{
		"two":                 {from + "A: 1\n\nx\n\n" + from + "A: 2\n\ny\n", []string{"A: 1\n\nx\n\n", "A: 2\n\ny\n"}},
		"CRLF":                {"From x\r\nA: 1\r\n\r\nx\r\n\r\nFrom y\r\nA: 2\r\n", []string{"A: 1\r\n\r\nx\r\n\r\n", "A: 2\r\n"}},
		"quoted":              {from + "A: 1\n\n>From x\n>>From y\n>Fro\nFrom z\n", []string{"A: 1\n\nFrom x\n>From y\n>Fro\nFrom z\n"}},
		"Content-Length lies": {from + "Content-Length: 99999\n\nx\n\n" + from + "A: 2\n", []string{"Content-Length: 99999\n\nx\n\n", "A: 2\n"}},
		"no end":              {from + "A: 1", []string{"A: 1"}},
		"long lines":          {"From " + long + "\nA: " + long + "\n\nFrom " + long, []string{"A: " + long + "\n\n", ""}},
		"quoted long line":    {from + "\n>From " + long + "From x\n", []string{"\nFrom " + long + "From x\n"}},
		"only From":           {"From ", []string{""}},
		"empty messages":      {"From a\n\nFrom b\n\n", []string{"\n", "\n"}},
	} {
		m := &mbox{in: bufio.NewReaderSize(iotest.HalfReader(strings.NewReader(test.in)), 4096)}
		var got []string
		for m.next() {
			text, err := io.ReadAll(m)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			got = append(got, string(text))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s:\n got %.200q\nwant %.200q", name, got, test.want)
		}
		// What was not read of a message does not hide the next one.
		m = &mbox{in: bufio.NewReaderSize(strings.NewReader(test.in), 4096)}
		count := 0
		for m.next() {
			m.Read(make([]byte, 3))
			count++
		}
		if count != len(test.want) {
			t.Errorf("%s: %d messages when only their starts are read, want %d", name, count, len(test.want))
		}
	}
}

// The bounds are of each message of a mailbox, not of all.
func TestMboxBounds(t *testing.T) {
	t.Parallel()
	limits := Limits{Unpacked: 5000, Total: 6000, Message: 5000, Members: 3, Depth: 3}
	var messages []string
	for range 20 {
		messages = append(messages, mail(attached, inBase64(gzipped(testReport("1")))), ordinary)
	}
	got := read(t, mailbox(messages...), limits, "-")
	if len(got) != 40 || got[38] != "stdin: message 39: r.zip: report 1" || got[39] != "stdin: message 40: no report: message" {
		t.Errorf("got %d: %q", len(got), got)
	}
}

// A mailbox is not held in memory, and a read that fails is told of.
func TestMboxFails(t *testing.T) {
	t.Parallel()
	in := io.MultiReader(strings.NewReader(mailbox(ordinary, ordinary)), iotest.ErrReader(io.ErrClosedPipe))
	var got []string
	err := Read(t.Context(), []string{"-"}, in, DefaultLimits(), func(f Found) bool {
		got = append(got, line(f))
		return true
	})
	want := []string{"stdin: message 1: no report: message", "stdin: message 2: error io: read/write on closed pipe"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func FuzzMbox(f *testing.F) {
	f.Add(mailbox(ordinary, ordinary))
	f.Add("From x\r\n\r\n>From y\r\n\r\nFrom z")
	f.Fuzz(func(t *testing.T, text string) {
		m := &mbox{in: bufio.NewReaderSize(strings.NewReader(text), 16)}
		var got strings.Builder
		for m.next() {
			message, err := io.ReadAll(m)
			if err != nil {
				t.Fatal(err)
			}
			got.Write(message)
		}
		if !strings.HasPrefix(text, "From ") {
			return // nobody calls it so
		}
		// Only separators and the signs of quoting are left out.
		var want strings.Builder
		blank := true
		for line := range strings.Lines(text) {
			if blank && strings.HasPrefix(line, "From ") {
				blank = false
				continue
			}
			blank = strings.Trim(line, "\r\n") == ""
			if rest := strings.TrimLeft(line, ">"); rest != line && strings.HasPrefix(rest, "From ") {
				line = line[1:]
			}
			want.WriteString(line)
		}
		if got.String() != want.String() {
			t.Fatalf("%q: got %q, want %q", text, got.String(), want.String())
		}
	})
}
