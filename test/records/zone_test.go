package records

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// head makes a whole zone file of a piece of one.
const head = "$TTL 300\n@ IN SOA ns.example.net. root.example.net. 1 3600 600 86400 300\n@ IN NS ns.example.net.\n"

// checkers read a zone file and print what they read.
var checkers = map[string]func(zone, file string) *exec.Cmd{
	"named-checkzone": func(zone, file string) *exec.Cmd {
		return exec.Command("named-checkzone", "-i", "none", "-q", "-D", "-s", "full", "-o", "-", zone, file)
	},
	"nsd-checkzone": func(zone, file string) *exec.Cmd { return exec.Command("nsd-checkzone", "-p", zone, file) },
}

func TestZoneLoads(t *testing.T) {
	t.Parallel()
	for name, command := range checkers {
		for _, w := range where {
			t.Run(name+"/"+w.domain, func(t *testing.T) {
				t.Parallel()
				records := published(t, w.domain)
				file := filepath.Join(t.TempDir(), "zone")
				if err := os.WriteFile(file, []byte(head+rendered(t, "zone", w.zone, records)), 0o644); err != nil {
					t.Fatal(err)
				}
				compare(t, checked(t, command(w.zone, file)), lines(records))
			})
		}
	}
}

// What the checkers refuse must not pass for read.
func TestCheckersRefuse(t *testing.T) {
	t.Parallel()
	for name, command := range checkers {
		file := filepath.Join(t.TempDir(), "zone")
		if err := os.WriteFile(file, []byte(head+"_dmarc IN TXT \""+strings.Repeat("x", 256)+"\"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := command("example.org", file).CombinedOutput(); err == nil {
			t.Errorf("%s took a string of 256 bytes: %s", name, out)
		}
	}
}

func checked(t *testing.T, command *exec.Cmd) []string {
	t.Helper()
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s%s", command, err, stderr.String(), out)
	}
	parser := dns.NewZoneParser(bytes.NewReader(out), "", "")
	var rrs []dns.RR
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		rrs = append(rrs, rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	return linesOf(t, rrs)
}
