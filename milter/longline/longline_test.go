package longline

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// broken is what smtp(8) makes of a line that ends, by the book.
func broken(line string, limit int) string {
	var out strings.Builder
	for room := limit; len(line) > room; room = limit - 1 {
		out.WriteString(line[:room] + "\r\n ")
		line = line[room:]
	}
	return out.String() + line
}

// delivered is what smtp(8) makes of a body.
func delivered(body string, limit int) string {
	var out strings.Builder
	for line := range strings.Lines(body) {
		text, ended := strings.CutSuffix(line, "\n")
		text = strings.TrimSuffix(text, "\r")
		out.WriteString(broken(text, limit))
		if !ended && len(text) == limit {
			out.WriteString("\r\n ")
		}
		out.WriteString("\r\n")
	}
	return out.String()
}

// canonical is a body by RFC 6376, section 3.4.3 and 3.4.4.
func canonical(body string, relaxed bool) string {
	var lines []string
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if relaxed {
			lead := strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")
			line = strings.Join(strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' }), " ")
			if lead && line != "" {
				line = " " + line
			}
		}
		lines = append(lines, line)
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return strings.Join(lines, "\n")
}

// firstLong is the first line over the limit, found without any haste.
func firstLong(body string, limit int) (found Line) {
	number := 0
	for line := range strings.Lines(body) {
		number++
		text, ended := strings.CutSuffix(line, "\n")
		text = strings.TrimSuffix(text, "\r")
		if len(text) > limit || !ended && len(text) == limit {
			return Line{number, len(text)}
		}
	}
	return Line{}
}

// What is said of a body comes true when the body is broken and canonicalized by the
// book, however it is cut into pieces.
func TestBody(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const limit = 8
	breaking := 0
	for range 60_000 {
		var b strings.Builder
		for range random.IntN(5) {
			b.WriteString(strings.Repeat([]string{"x", " ", "\t", "x ", ""}[random.IntN(5)], random.IntN(7)))
			b.WriteString(strings.Repeat([]string{"x", " ", "\t"}[random.IntN(3)], random.IntN(7)))
			b.WriteString([]string{"\r\n", "\r\n", "\n", ""}[random.IntN(4)])
		}
		body := b.String()
		for _, relaxed := range []bool{false, true} {
			watch := Body{Rule: Rule{limit, relaxed}}
			for rest := body; rest != ""; {
				n := 1 + random.IntN(min(len(rest), 1+random.IntN(20)))
				watch.Write([]byte(rest[:n]))
				rest = rest[n:]
			}
			line, breaks := watch.End()
			if want := firstLong(body, limit); line != want {
				t.Fatalf("%q: line %v, want %v", body, line, want)
			}
			if want := canonical(delivered(body, limit), relaxed) != canonical(body, relaxed); breaks != want {
				t.Fatalf("%q, relaxed %v: breaks %v, want %v: it becomes %q", body, relaxed, breaks, want, delivered(body, limit))
			}
			if breaks {
				breaking++
			}
		}
	}
	if breaking < 2_000 {
		t.Errorf("only %d bodies break", breaking)
	}
}

func TestField(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	rule := Rule{Limit: 8}
	unfolded := func(field string, relaxed bool) string {
		if !relaxed {
			return strings.ReplaceAll(strings.ReplaceAll(field, "\r\n", "\n"), "\n", "\r\n")
		}
		name, value, _ := strings.Cut(field, ":")
		return name + ":" + strings.Join(strings.Fields(value), " ")
	}
	for range 60_000 {
		var value strings.Builder
		for range random.IntN(4) {
			value.WriteString(strings.Repeat([]string{"x", " ", "\t", "x "}[random.IntN(4)], random.IntN(12)))
			value.WriteString([]string{"\r\n ", "\n\t", "", " "}[random.IntN(4)])
		}
		value.WriteString("x")
		field := "A:" + value.String()
		var lines []string
		longest := 0
		for line := range strings.SplitSeq(strings.ReplaceAll(field, "\r\n", "\n"), "\n") {
			lines = append(lines, broken(line, rule.Limit))
			if len(line) > rule.Limit {
				longest = max(longest, len(line))
			}
		}
		for _, rule.Relaxed = range []bool{false, true} {
			octets, breaks := rule.Field("A", value.String())
			want := unfolded(strings.Join(lines, "\r\n"), rule.Relaxed) != unfolded(field, rule.Relaxed)
			if octets != longest || breaks != want {
				t.Fatalf("%q, relaxed %v: %d, %v, want %d, %v", field, rule.Relaxed, octets, breaks, longest, want)
			}
		}
	}
}

// Looking for long lines takes no time to speak of beside hashing.
func BenchmarkBody(b *testing.B) {
	for name, line := range map[string]string{
		"lines-of-41": "one line of a body, no longer than most\r\n", "base64": strings.Repeat("A", 76) + "\r\n",
		"empty": "\r\n", "long": strings.Repeat("x", 998) + "\r\n", "blank": strings.Repeat(" ", 2000),
	} {
		body := []byte(strings.Repeat(line, (1<<20)/len(line)))
		b.Run(fmt.Sprint(name), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			watch := Body{Rule: Rule{Limit, true}}
			for b.Loop() {
				watch.Reset()
				for rest := body; len(rest) > 0; rest = rest[min(len(rest), 65535):] {
					watch.Write(rest[:min(len(rest), 65535)])
				}
			}
		})
	}
}
