package message

import (
	"bytes"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

func TestReadText(t *testing.T) {
	for name, test := range map[string]struct{ text, fields, body, bodyLine, finding string }{
		"LF":                {"A: 1\nB: 2\n\t3\n\nx\ny\n", "A: 1|B: 2\r\n\t3", "x\r\ny\r\n", "5", ""},
		"CRLF":              {"A: 1\r\nB:\r\n\r\nx\ny\r\n", "A: 1|B:", "x\ny\r\n", "4", ""},
		"header only":       {"A: 1\n", "A: 1", "", "2", "path-header-only"},
		"empty body":        {"A: 1\n\n", "A: 1", "", "3", ""},
		"no final line end": {"A: 1", "A: 1", "", "2", "path-header-only"},
		"no empty line":     {"A: 1\nhello\nB: 2\n", "A: 1", "hello\r\nB: 2\r\n", "2", "path-header-end"},
		"no header":         {"\nhello\n", "", "hello\r\n", "2", ""},
		"mbox":              {"From x Mon Nov  2\nA: 1\n\nx\n", "A: 1", "x\r\n", "4", "path-mbox-line"},
		"name with a space": {"A : 1\n\n", "A : 1", "", "3", ""},
		"mailbox":           {"From x\nA: 1\n\nx\n\nFrom y\nA: 1\n", "error", "", "", ""},
		"empty":             {"", "error", "", "", ""},
		"binary":            {"\x7fELF\x02\x01\x00\x00\n", "error", "", "", ""},
		"fold at the start": {" A: 1\n\n", "error", "", "", ""},
		"text":              {"hello\n", "error", "", "", ""},
	} {
		text, err := ReadText(strings.NewReader(test.text))
		if err != nil {
			if test.fields != "error" {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var fields []string
		for _, f := range text.Fields {
			fields = append(fields, f.Name+":"+f.Value)
		}
		finding := ""
		for _, f := range text.Findings {
			finding += f.Code
		}
		if got := strings.Join(fields, "|"); got != test.fields || string(text.Body) != test.body ||
			strconv.Itoa(text.BodyLine) != test.bodyLine || finding != test.finding {
			t.Errorf("%s: %q %q line %d %s", name, got, text.Body, text.BodyLine, finding)
		}
	}
}

// A field of very many lines is not copied at each.
func TestReadTextIsLinear(t *testing.T) {
	data := []byte("From: a@example.org\r\nX:" + strings.Repeat("\r\n ", 100_000) + "\r\n\r\n")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	text, err := ReadText(bytes.NewReader(data))
	runtime.ReadMemStats(&after)
	if err != nil || len(text.Fields) != 2 || len(text.Fields[1].Value) != 300_000 {
		t.Fatalf("%v", err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
		t.Errorf("%d MB allocated to read %d bytes", used>>20, len(data))
	}
}

// Nothing of a message is lost, whatever it is.
func FuzzReadText(f *testing.F) {
	f.Add([]byte("A: 1\r\n\t2\r\n\r\nbody\r\n"))
	f.Add([]byte("From x\nA: 1\n\nbody"))
	f.Add([]byte("A: 1\nno field\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		text, err := ReadText(bytes.NewReader(data))
		if err != nil {
			return
		}
		line := 0
		for _, field := range text.Fields {
			if field.Line <= line || strings.ContainsAny(field.Name, "\r\n:") {
				t.Fatalf("field %+v after line %d", field, line)
			}
			line = field.Line
		}
		// Only what stands before the message is left out.
		content := strings.NewReplacer("\r", "", "\n", "")
		if got := content.Replace(string(text.Wire)); !strings.HasSuffix(content.Replace(string(data)), got) ||
			len(text.Findings) == 0 && got != content.Replace(string(data)) {
			t.Fatalf("%q became %q", data, text.Wire)
		}
		if text.BodyLine <= line {
			t.Fatalf("the body is at line %d, a field at %d", text.BodyLine, line)
		}
	})
}
