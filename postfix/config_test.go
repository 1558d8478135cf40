package postfix

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// asked are parameters that the differential test gives odd values: they have
// no meaning to postconf and no default that is computed.
func asked() []string {
	return []string{"relayhost", "smtpd_banner", "smtpd_milters", "non_smtpd_milters", "smtpd_helo_restrictions", "content_filter",
		"smtp_generic_maps", "smtpd_relay_restrictions", "header_checks", "body_checks"}
}

// TestConfigAgainstPostconf gives generated files to Postfix and to us, and
// both must find the same values, or both none.
func TestConfigAgainstPostconf(t *testing.T) {
	t.Parallel()
	needPostfix(t)
	defaults, err := ParseConfig("main.cf", nil)
	if err == nil {
		_, err = defaults.AskPostconf(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	files, refused, failed := 200, 0, 0
	texts, answers := make([]string, files), make([]verdict, files)
	var asking sync.WaitGroup
	for worker := range 20 { // postconf waits a second before it says that it cannot
		dir := t.TempDir()
		asking.Go(func() {
			for seed := worker; seed < files; seed += 20 {
				texts[seed] = oddMain(rand.New(rand.NewSource(int64(seed))))
				answers[seed] = askPostconf(dir, texts[seed])
			}
		})
	}
	asking.Wait()
	for seed, text := range texts {
		want, wantErr := answers[seed].values, answers[seed].err
		config, err := ParseConfig("main.cf", []byte(text))
		// A single value that it cannot expand stops postconf altogether. One that refers to
		// itself in a comparison makes it run out of stack.
		unexpanded := wantErr != nil && (strings.Contains(wantErr.Error(), "macro processing error") ||
			strings.Contains(wantErr.Error(), "segmentation fault"))
		if (err != nil) != (wantErr != nil && !unexpanded) {
			t.Fatalf("seed %d: Postfix says %v, we say %v:\n%s", seed, wantErr, err, text)
		}
		if err != nil {
			refused++
			continue
		}
		config.defaults = defaults.defaults
		var unexpandedByUs []string
		for _, name := range asked() {
			raw, _ := config.lookup(Service{}, name)
			got, err := config.Expand(raw)
			if err != nil {
				unexpandedByUs = append(unexpandedByUs, fmt.Sprintf("%s: %v", name, err))
			} else if !unexpanded && blanked(got) != want[name] {
				t.Fatalf("seed %d: %s is %q, to Postfix %q:\n%s", seed, name, got, want[name], text)
			}
		}
		if unexpanded != (unexpandedByUs != nil) {
			t.Fatalf("seed %d: Postfix says %v, we say %q:\n%s", seed, wantErr, unexpandedByUs, text)
		}
		if unexpanded {
			failed++
		}
	}
	t.Logf("of %d files %d were refused, %d have values that cannot be expanded", files, refused, failed)
	if refused == 0 || failed == 0 || refused+failed > files/2 {
		t.Error("the test says little")
	}
}

// blanked makes one blank of each white space, as postconf does when it prints.
func blanked(value string) string { return strings.Join(strings.Fields(value), " ") }

// verdict is what Postfix makes of a main.cf.
type verdict struct {
	values map[string]string // expanded
	err    error
}

func askPostconf(dir, text string) verdict {
	for name, content := range map[string]string{"main.cf": text, "master.cf": ""} {
		path, old := filepath.Join(dir, name), time.Now().Add(-time.Hour) // Postfix waits for a fresh file
		if err := errors.Join(os.WriteFile(path, []byte(content), 0o644), os.Chtimes(path, old, old)); err != nil {
			return verdict{err: err}
		}
	}
	command := exec.Command("postconf", append([]string{"-c", dir, "-x"}, asked()...)...)
	var complaints bytes.Buffer
	command.Stderr = &complaints
	out, err := command.Output()
	if err != nil {
		return verdict{err: fmt.Errorf("%w: %s", err, complaints.String())}
	}
	values := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(line, "=")
		values[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return verdict{values: values}
}

// oddMain makes a main.cf of comments, continuations, duplicates, expressions
// and, now and then, what is none.
func oddMain(r *rand.Rand) string {
	pick := func(from ...string) string { return from[r.Intn(len(from))] }
	set := 0 // index of the name that is set now
	var value func(depth int) string
	value = func(depth int) string {
		if depth > 3 {
			return pick("x", "", "7")
		}
		// Names further on, so that few values refer to themselves.
		names := append(asked()[set+1:], "nosuch", "mail_name", "smtpd_delay_reject")
		name := pick(names...)
		inner := func() string { return value(depth + 1) }
		switch r.Intn(19) {
		case 0:
			return "$" + name
		case 1:
			return "${" + name + "}"
		case 2:
			if r.Intn(20) == 0 {
				name = pick(asked()...)
			}
			return "$(" + name + ")"
		case 3:
			return "${" + name + pick("?", ":", " ? ") + inner() + "}"
		case 4:
			return "${" + name + pick("?", " ?", "? ") + "{" + inner() + "}" + pick(":", " : ") + "{" + inner() + "}" + pick("", " ") + "}"
		case 5:
			return "${{" + inner() + "}" + pick("==", "!=", "<", " <= ", ">", ">=") + "{" + inner() + "}" + pick("?", " ? ", ":") + "{" + inner() + "}}"
		case 6:
			return "${{" + pick("3.6", "2", "3.10", "$compatibility_level", " 4") + "} " + pick("<level", ">=level", "==level") + " {" + pick("3.9", "3.10", "2", "3") + "}?{a}:{b}}"
		case 7:
			return "$$" + name
		case 8, 9, 10:
			return inner() + pick(" ", ", ", "", "\t") + inner()
		case 11:
			if r.Intn(12) == 0 {
				return pick("${", "$", "$(x", "${a-b}", "${a?{x}y}", "${}", "${{a} ~ {b}}", "${{a} <level {3}}", "$-", "${a{b}}")
			}
			return "{ " + inner() + " }"
		default:
			return pick("plain", "1", "10", "9", "a=b", "#no", "static:{x y}", "ü", "")
		}
	}
	var b strings.Builder
	for range 4 + r.Intn(14) {
		switch r.Intn(12) {
		case 0:
			b.WriteString(pick("# comment\n", "\n", "  # indented comment\n", " \t\n"))
		case 1:
			b.WriteString(pick(" ", "\t") + value(1) + "\n") // a continuation
		case 2:
			if r.Intn(8) == 0 {
				b.WriteString(pick("no equals sign\n", "two words = 1\n", "= 1\n", "novalue\n"))
			}
		default:
			set = r.Intn(len(asked()))
			b.WriteString(asked()[set] + pick("=", " = ", "  =", "\t= ") + value(0) + pick("\n", " \n", "\n", "\r\n"))
		}
	}
	text := b.String()
	if r.Intn(3) == 0 {
		text = strings.TrimSuffix(text, "\n")
	}
	return text
}

// FuzzConfig looks for a configuration that crashes the reader, or takes it for
// ever.
func FuzzConfig(f *testing.F) {
	f.Add("relayhost = ${a?{b}:{c}}\na=1\n", "smtp inet n - y - - smtpd\n  -o a=$b -o { c = d e }\n")
	f.Add("a=$b$b\nb=$c$c\nc=$a", "")
	f.Add("a=${{$a}<level{3}?{x}:{y}}", "x unix - - - - - y -o a")
	for seed := range 20 {
		f.Add(oddMain(rand.New(rand.NewSource(int64(seed)))), "")
	}
	f.Fuzz(func(t *testing.T, main, master string) {
		config, err := ParseConfig("main.cf", []byte(main))
		if err != nil {
			return
		}
		if config.AddMaster("master.cf", []byte(master)) != nil {
			config.Services = nil
		}
		for _, name := range config.Names() {
			config.Value(name)
			for _, s := range config.Services {
				config.ValueIn(s, name)
			}
		}
	})
}

// TestOrigin: the domain that Postfix's own mail comes from.
func TestOrigin(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "mailname")
	if err := os.WriteFile(file, []byte("Example.ORG \n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for main, want := range map[string]string{
		"myhostname = mail.example.org":                                             "mail.example.org",
		"myorigin = $mydomain\nmyhostname = mail.example.org":                       "example.org",
		"myorigin = $mydomain\nmyhostname = mail.example.org\nmydomain = b.example": "b.example",
		"myorigin = $mydomain\nmyhostname = box":                                    "localdomain",
		"myorigin = bücher.example":                                                 "xn--bcher-kva.example",
		"myorigin = box":                                                            "box",
		"myorigin = " + file:                                                        "example.org",
		"myorigin = " + file + "x":                                                  "",
		"myorigin = example.org\nmasquerade_domains = example.org":                  "",
		"myorigin = example.org\ncanonical_maps = hash:/x":                          "",
		"myorigin =": "",
	} {
		config, err := ParseConfig("main.cf", []byte(main+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(main, file) {
			if got, known := config.Origin(); known {
				t.Errorf("%s: %q, of another machine perhaps", main, got)
			}
			if err := config.TakeDefaults([]byte("mail_version = 3.7.11\n")); err != nil {
				t.Fatal(err)
			}
		}
		if got, known := config.Origin(); got != want || known != (want != "") {
			t.Errorf("%s: got %q %t, want %q", main, got, known, want)
		}
	}
}

// TestHostOfDomain: a host whose own name has no domain is in that of main.cf.
func TestHostOfDomain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ host, main, want string }{
		{"box.localdomain", "mydomain = example.org", "box.example.org"},
		{"box.localdomain", "mydomain = $mine\nmine = example.org", "box.example.org"},
		{"box.localdomain", "", "box.localdomain"},
		{"box.example.net", "mydomain = example.org", "box.example.net"},
		{"box.localdomain", "mydomain = example.org\nmyhostname = mail.example.net", "mail.example.net"},
	} {
		config, err := ParseConfig("main.cf", []byte(test.main+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		const stock = "mail_version = 3.7.11\nmydomain = localdomain\nmyorigin = $myhostname\nmyhostname = "
		if err := config.TakeDefaults([]byte(stock + test.host + "\n")); err != nil {
			t.Fatal(err)
		}
		if got, known := config.Origin(); got != test.want || !known {
			t.Errorf("%s, %q: got %q %t, want %q", test.host, test.main, got, known, test.want)
		}
	}
}
