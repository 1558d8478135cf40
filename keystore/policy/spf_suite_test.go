package policy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"signpost/keystore/dns"

	miekg "github.com/miekg/dns"
	"go.yaml.in/yaml/v3"
)

// suite is a part of the test suite for RFC 7208 of the openspf project, in the
// form of its file.
type suite struct {
	Description string
	Tests       map[string]struct {
		Helo, Host, MailFrom string
		Result               any // one, or several of which each will do
	}
	ZoneData map[string][]map[string]any
}

// TestSuite runs all of the suite. What differs from it is listed here, and the
// list has no more in it than that.
func TestSuite(t *testing.T) {
	differs := map[string]string{}
	ran := 0
	for _, s := range readSuite(t) {
		source := s.source(t)
		for _, name := range slices.Sorted(maps.Keys(s.Tests)) {
			ran++
			test := s.Tests[name]
			r := SPF(context.Background(), source, netip.MustParseAddr(test.Host), test.Helo, test.MailFrom)
			want := []any{test.Result}
			if several, ok := test.Result.([]any); ok {
				want = several
			}
			known, listed := differs[name]
			delete(differs, name)
			switch agrees := slices.Contains(want, any(string(r.Result))); {
			case agrees && listed:
				t.Errorf("%s, %s: is as the suite wants it, so it is no difference any more", s.Description, name)
			case !agrees && string(r.Result) != known:
				t.Errorf("%s, %s: %s, want %v (%v)", s.Description, name, r.Result, want, r.Err)
			}
		}
	}
	if ran != 203 {
		t.Errorf("%d tests, want all 203", ran)
	}
	for name := range differs {
		t.Errorf("there is no test %s", name)
	}
}

// readSuite reads the suite as it comes with a library: this module's, for
// fuzzing. It is not ours to copy.
func readSuite(t *testing.T) []suite {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "blitiri.com.ar/go/spf").Output()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(filepath.Join(strings.TrimSpace(string(dir)), "testdata", "rfc7208-tests.yml"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []suite
	for decoder := yaml.NewDecoder(file); ; {
		var s suite
		err := decoder.Decode(&s)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
}

// suiteSource is a DNS that fails for what a name does not have, where its data
// says so.
type suiteSource struct {
	*dns.Zone
	fails map[string]dns.Kind
}

func (s suiteSource) Lookup(ctx context.Context, name string, qtype uint16) (*dns.Answer, error) {
	answer, err := s.Zone.Lookup(ctx, name, qtype)
	kind, fails := s.fails[dns.Plain(name)]
	if fails && (err != nil || len(answer.Records) == 0) {
		return nil, &dns.LookupError{Name: dns.Plain(name), Type: miekg.TypeToString[qtype], Kind: kind}
	}
	return answer, err
}

func (s suite) source(t *testing.T) suiteSource {
	t.Helper()
	source := suiteSource{fails: make(map[string]dns.Kind)}
	var records []miekg.RR
	for name, data := range s.ZoneData {
		// A policy is written as a record of the type SPF, which stands for TXT
		// as well where there is none.
		hasTXT := slices.ContainsFunc(data, func(r map[string]any) bool { return r["TXT"] != nil })
		for _, record := range data {
			for kind, value := range record {
				switch kind {
				case "TIMEOUT":
					source.fails[dns.Plain(name)] = dns.Timeout
				case "CNAMELOOP":
					source.fails[dns.Plain(name)] = dns.Loop
				case "SPF", "TXT":
					if value != "NONE" && (kind == "TXT" || !hasTXT) {
						records = append(records, suiteRecord(t, name, "TXT", quotedStrings(value)))
					}
				case "MX":
					mx := value.([]any)
					records = append(records, suiteRecord(t, name, kind, fmt.Sprintf("%v %s.", mx[0], mx[1])))
				case "CNAME", "PTR":
					records = append(records, suiteRecord(t, name, kind, strings.TrimSuffix(value.(string), ".")+"."))
				default:
					records = append(records, suiteRecord(t, name, kind, value.(string)))
				}
			}
		}
	}
	source.Zone = dns.NewZone(records)
	return source
}

func suiteRecord(t *testing.T, name, kind, value string) miekg.RR {
	t.Helper()
	// The name is put in later: it may be none that a zone file can have.
	rr, err := miekg.NewRR("x. 60 IN " + kind + " " + value)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	rr.Header().Name = spelt(name) + "."
	return rr
}

// quotedStrings writes the strings of a TXT record as in a zone file.
func quotedStrings(value any) string {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	var quoted []string
	for _, text := range list {
		var b strings.Builder
		for _, c := range []byte(text.(string)) {
			fmt.Fprintf(&b, `\%03d`, c)
		}
		quoted = append(quoted, `"`+b.String()+`"`)
	}
	return strings.Join(quoted, " ")
}
