package render_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// readBack is what a format says, in the words of "name type ttl value", with
// names absolute. Each reader is other people's, or goes by their rules.
func readBack(t *testing.T, format, zone, text string) []string {
	t.Helper()
	read := map[string]func(*testing.T, string, string) []string{
		"table":             readTable,
		"zone":              readZone,
		"line":              readLine,
		"json":              readJSON,
		"nsupdate":          readNsupdate,
		"cloudflare":        readCloudflare,
		"route53":           readRoute53,
		"terraform":         readTerraform,
		"terraform-route53": readTerraform,
	}[format]
	if read == nil {
		t.Fatalf("no test reads format %q", format)
	}
	return read(t, zone, text)
}

func entry(name, kind string, ttl int, value string) string {
	return fmt.Sprintf("%s %s %d %s", strings.TrimSuffix(name, "."), kind, ttl, value)
}

// absolute is what a zone makes of a relative name.
func absolute(host, zone string) string {
	if host == "@" || host == "" {
		return zone
	}
	return host + "." + zone
}

// ofRR takes a record as it goes over the wire, where nothing is escaped.
func ofRR(t *testing.T, rr dns.RR) string {
	t.Helper()
	h := rr.Header()
	switch rr := rr.(type) {
	case *dns.MX:
		return entry(h.Name, "MX", int(h.Ttl), fmt.Sprintf("%d %s", rr.Preference, rr.Mx))
	case *dns.TXT:
		wire := make([]byte, 70000)
		end, err := dns.PackRR(rr, wire, 0, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		data := wire[end-int(rr.Hdr.Rdlength) : end]
		var value []byte
		for len(data) > 0 {
			size := 1 + int(data[0])
			value = append(value, data[1:size]...)
			data = data[size:]
		}
		return entry(h.Name, "TXT", int(h.Ttl), string(value))
	}
	t.Fatalf("unexpected %s", rr)
	return ""
}

func readTable(t *testing.T, zone, text string) (got []string) {
	for block := range strings.SplitSeq(text, "\n\n") {
		fields := make(map[string]string)
		for line := range strings.Lines(block) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			fields[name] = strings.TrimPrefix(value, strings.Repeat(" ", 6-len(name)))
		}
		host, _, _ := strings.Cut(fields["host"], " ")
		if absolute(host, zone) != fields["name"] {
			t.Errorf("host %q is not %s", fields["host"], fields["name"])
		}
		got = append(got, entry(fields["name"], fields["type"], 3600, fields["value"]))
	}
	return got
}

func readZone(t *testing.T, zone, text string) (got []string) {
	parser := dns.NewZoneParser(strings.NewReader(text), "", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		got = append(got, ofRR(t, rr))
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	return got
}

func readLine(t *testing.T, zone, text string) (got []string) {
	head := regexp.MustCompile(`^# host (\S+) \(whole name (\S+)\), (?:priority (\d+), )?type (\w+), TTL (\d+)$`)
	for block := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n\n") {
		lines := strings.Split(block, "\n")
		found := head.FindStringSubmatch(lines[0])
		if len(lines) != 2 || found == nil {
			t.Fatalf("cannot read %q", block)
		}
		if absolute(found[1], zone) != found[2] {
			t.Errorf("host %q is not %s", found[1], found[2])
		}
		ttl, _ := strconv.Atoi(found[5])
		got = append(got, entry(found[2], found[4], ttl, strings.TrimSpace(found[3]+" ")+strings.Repeat(" ", min(1, len(found[3])))+lines[1]))
	}
	return got
}

// decode refuses fields that the format does not know.
func decode(t *testing.T, text string, into any) {
	t.Helper()
	in := json.NewDecoder(strings.NewReader(text))
	in.DisallowUnknownFields()
	if err := in.Decode(into); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if in.More() {
		t.Fatalf("more than one value in\n%s", text)
	}
}

func readJSON(t *testing.T, zone, text string) (got []string) {
	var all struct {
		Records []struct {
			Zone, Name, Host, Type, Value, Why string
			TTL                                int
			Strings                            []string
		}
	}
	decode(t, text, &all)
	for _, r := range all.Records {
		if absolute(r.Host, zone) != r.Name || r.Zone != zone {
			t.Errorf("host %q is not %s in zone %q", r.Host, r.Name, r.Zone)
		}
		if r.Type == "TXT" && strings.Join(r.Strings, "") != r.Value {
			t.Errorf("strings %q are not %q", r.Strings, r.Value)
		}
		for _, s := range r.Strings {
			if len(s) > 255 {
				t.Errorf("string of %d bytes", len(s))
			}
		}
		got = append(got, entry(r.Name, r.Type, r.TTL, r.Value))
	}
	return got
}

func readNsupdate(t *testing.T, zone, text string) (got []string) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if lines[0] != "zone "+zone+"." {
		t.Errorf("the first line is %q", lines[0])
	}
	deleted := make(map[string]bool)
	sent := false
	for _, line := range lines[1:] {
		switch {
		case strings.HasPrefix(line, ";"), line == "" && sent:
		case line == "send" && !sent:
			sent = true
		case sent:
			t.Errorf("line %q comes after send", line)
		case strings.HasPrefix(line, "update delete "):
			deleted[strings.TrimPrefix(line, "update delete ")] = true
		case strings.HasPrefix(line, "update add "):
			rr, err := dns.NewRR(strings.TrimPrefix(line, "update add "))
			if err != nil {
				t.Fatal(err)
			}
			name, kind := rr.Header().Name, dns.TypeToString[rr.Header().Rrtype]
			if shared := kind == "TXT" && !strings.Contains("."+name, "._"); deleted[name+" "+kind] == shared {
				t.Errorf("%s %s is deleted: %v", name, kind, !shared)
			}
			got = append(got, ofRR(t, rr))
		default:
			t.Errorf("unexpected line %q", line)
		}
	}
	if !sent {
		t.Errorf("nothing is sent by\n%s", text)
	}
	return got
}

func readCloudflare(t *testing.T, _, text string) (got []string) {
	var batch struct {
		Posts []struct {
			Type, Name, Content string
			TTL                 int
			Priority            *int
		}
	}
	decode(t, text, &batch)
	for _, p := range batch.Posts {
		got = append(got, ofCloudflare(t, p.Name, p.Type, p.TTL, p.Content, p.Priority))
	}
	return got
}

func ofCloudflare(t *testing.T, name, kind string, ttl int, content string, priority *int) string {
	t.Helper()
	if kind == "MX" {
		content = fmt.Sprintf("%d %s", *priority, content)
	}
	rr, err := dns.NewRR(fmt.Sprintf("%s. %d IN %s %s", name, ttl, kind, content))
	if err != nil {
		t.Fatal(err)
	}
	return ofRR(t, rr)
}

func readRoute53(t *testing.T, _, text string) (got []string) {
	var batch struct {
		Comment string
		Changes []struct {
			Action            string
			ResourceRecordSet struct {
				Name, Type      string
				TTL             int
				ResourceRecords []struct{ Value string }
			}
		}
	}
	decode(t, text, &batch)
	if len(batch.Comment) > 256 {
		t.Errorf("the comment has %d characters", len(batch.Comment))
	}
	for _, c := range batch.Changes {
		s := c.ResourceRecordSet
		want := "UPSERT"
		if s.Type == "TXT" && !strings.Contains("."+s.Name, "._") {
			want = "CREATE"
		}
		if c.Action != want {
			t.Errorf("action of %s %s is %s", s.Name, s.Type, c.Action)
		}
		for _, r := range s.ResourceRecords {
			got = append(got, ofRoute53(t, s.Name, s.Type, s.TTL, r.Value))
		}
	}
	return got
}

var (
	quotedStrings = regexp.MustCompile(`^("([^"\\]|\\.)*" ?)+$`)
	quotedString  = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)
	octal         = regexp.MustCompile(`\\([0-7]{3}|.)`)
)

func ofRoute53(t *testing.T, name, kind string, ttl int, value string) string {
	t.Helper()
	if kind == "MX" {
		return entry(name, kind, ttl, value)
	}
	if !quotedStrings.MatchString(value) {
		t.Fatalf("cannot read %q", value)
	}
	var all string
	for _, s := range quotedString.FindAllStringSubmatch(value, -1) {
		s := octal.ReplaceAllStringFunc(s[1], func(escape string) string {
			if len(escape) == 2 {
				return escape[1:]
			}
			n, err := strconv.ParseUint(escape[1:], 8, 8)
			if err != nil {
				t.Fatal(err)
			}
			return string([]byte{byte(n)})
		})
		if len(s) > 255 {
			t.Errorf("string of %d bytes", len(s))
		}
		all += s
	}
	return entry(name, kind, ttl, all)
}

// hclFile is what test/hcl says of a file.
type hclFile struct {
	Error, Formatted string
	Resources        []struct {
		Kind, Name string
		Values     struct {
			Name, Type, Content string
			TTL                 int
			Priority            *int
			Records             []string
		}
	}
}

// readHCL has files read by test/hcl, which runs until the tests end.
var readHCL = sync.OnceValues(func() (func(text string) (hclFile, error), error) {
	reader := exec.Command("go", "run", "-C", "../../../test/hcl", ".")
	reader.Stderr = os.Stderr
	in, err := reader.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := reader.StdoutPipe()
	if err != nil {
		return nil, err
	}
	encoder, decoder := json.NewEncoder(in), json.NewDecoder(out)
	return func(text string) (file hclFile, err error) {
		if err = encoder.Encode(text); err == nil {
			err = decoder.Decode(&file)
		}
		return file, err
	}, reader.Start()
})

func readTerraform(t *testing.T, _, text string) (got []string) {
	read, err := readHCL()
	if err != nil {
		t.Fatal(err)
	}
	file, err := read(text)
	if err != nil || file.Error != "" {
		t.Fatalf("%v %s in\n%s", err, file.Error, text)
	}
	if file.Formatted != text {
		t.Errorf("terraform fmt would change it to\n%s", file.Formatted)
	}
	ids := make(map[string]bool)
	for _, r := range file.Resources {
		if id := r.Kind + "." + r.Name; ids[id] {
			t.Errorf("two resources are named %s", id)
		} else {
			ids[id] = true
		}
		v := r.Values
		switch r.Kind {
		case "cloudflare_dns_record":
			got = append(got, ofCloudflare(t, v.Name, v.Type, v.TTL, v.Content, v.Priority))
		case "aws_route53_record":
			for _, value := range v.Records {
				if v.Type == "TXT" {
					value = `"` + value + `"` // as the provider does
				}
				got = append(got, ofRoute53(t, v.Name, v.Type, v.TTL, value))
			}
		default:
			t.Errorf("unexpected resource %s", r.Kind)
		}
	}
	return got
}
