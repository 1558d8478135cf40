package records

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"signpost/test/lab/nameserver"

	"github.com/miekg/dns"
)

// cloud is a zone as DNS providers have it: behind their API, and in the DNS.
// What it does is from their documentation, the odd ways with long texts included:
// each keeps what it is given in strings of 255 bytes, and gives it back so.
type cloud struct {
	zone  string // with the final dot
	mu    sync.Mutex
	sets  map[string][]string // the TXT records by absolute name, as "a" "b"
	fails bool                // every change, with a server error
	fixed *dns.Msg            // answers that no API changes, by name
}

// quoted splits a text into strings as zone files have them.
func quoted(text string) string {
	var parts []string
	for ; len(text) > 255; text = text[255:] {
		parts = append(parts, text[:255])
	}
	return `"` + strings.Join(append(parts, text), `" "`) + `"`
}

// strung puts a record into the form in which it is kept.
func strung(record string) string {
	return quoted(strings.ReplaceAll(strings.Trim(record, `"`), `" "`, ""))
}

func (c *cloud) names() (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, set := range c.sets {
		for range set {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// at returns the records at a name.
func (c *cloud) at(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.sets[name], "\n")
}

// put is what somebody does by hand.
func (c *cloud) put(name string, records ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set(name, records...)
}

func (c *cloud) fail(fails bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fails = fails
}

func (c *cloud) set(name string, records ...string) {
	for i := range records {
		records[i] = strung(records[i])
	}
	if c.sets[name] = records; len(records) == 0 {
		delete(c.sets, name)
	}
}

// ServeDNS answers for the zone, and has its name server at 127.0.0.1.
func (c *cloud) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	c.mu.Lock()
	defer c.mu.Unlock()
	answer := new(dns.Msg).SetReply(query)
	answer.Authoritative = true
	name := strings.ToLower(query.Question[0].Name)
	soa := &dns.SOA{Hdr: dns.RR_Header{Name: c.zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60}, Ns: "ns." + c.zone, Mbox: "h." + c.zone, Minttl: 1}
	for {
		var next string
		for _, rr := range c.fixed.Answer {
			if alias, ok := rr.(*dns.CNAME); ok && rr.Header().Name == name {
				answer.Answer, next = append(answer.Answer, rr), alias.Target
			}
		}
		if next == "" {
			break
		}
		name = next
	}
	for _, record := range c.sets[name] {
		rr, err := dns.NewRR(name + " 60 IN TXT " + record)
		if err == nil && query.Question[0].Qtype == dns.TypeTXT {
			answer.Answer = append(answer.Answer, rr)
		}
	}
	switch {
	case name == c.zone && query.Question[0].Qtype == dns.TypeSOA:
		answer.Answer = append(answer.Answer, soa)
	case len(answer.Answer) == 0 && len(c.sets[name]) == 0:
		answer.Rcode = dns.RcodeNameError
		fallthrough
	case len(answer.Answer) == 0:
		answer.Ns = append(answer.Ns, soa)
	}
	w.WriteMsg(answer)
}

// resolver serves the zone as a resolver would.
func (c *cloud) resolver(t *testing.T) (address string) {
	t.Helper()
	return nameserver.Serve(t, func(w dns.ResponseWriter, query *dns.Msg) { c.ServeDNS(recursive{w}, query) })
}

// recursive answers as a resolver.
type recursive struct{ dns.ResponseWriter }

func (w recursive) WriteMsg(m *dns.Msg) error {
	m.Authoritative, m.RecursionAvailable = false, true
	if m.Len() > 512 {
		if _, udp := w.RemoteAddr().(*net.UDPAddr); udp && m.IsEdns0() == nil {
			m.Truncate(512)
		}
	}
	return w.ResponseWriter.WriteMsg(m)
}

const apiToken = "tok-en_123"

// cloudflare serves https://api.cloudflare.com/client/v4.
func (c *cloud) cloudflare() http.Handler {
	type one struct {
		ID      string `json:"id"`
		Type    string `json:"type"`
		Name    string `json:"name"`
		Content string `json:"content"`
		TTL     int    `json:"ttl"`
	}
	say := func(w http.ResponseWriter, code int, result any, count int, problem string) {
		answer := map[string]any{"success": problem == "", "result": result, "errors": []any{}, "messages": []any{},
			"result_info": map[string]int{"page": 1, "per_page": 100, "count": count, "total_count": count}}
		if problem != "" {
			answer["errors"] = []any{map[string]any{"code": 9109, "message": problem}}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		json.NewEncoder(w).Encode(answer)
	}
	all := func() (records []one) {
		for name, set := range c.sets {
			for i, content := range set {
				records = append(records, one{fmt.Sprintf("%s/%d", strings.ReplaceAll(name, "/", ""), i), "TXT", strings.TrimSuffix(name, "."), content, 300})
			}
		}
		return records
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /client/v4/zones", func(w http.ResponseWriter, r *http.Request) {
		if strings.TrimSuffix(r.FormValue("name"), ".")+"." != c.zone {
			say(w, 200, []any{}, 0, "")
			return
		}
		say(w, 200, []any{map[string]string{"id": "z1", "name": strings.TrimSuffix(c.zone, ".")}}, 1, "")
	})
	mux.HandleFunc("GET /client/v4/zones/z1/dns_records", func(w http.ResponseWriter, r *http.Request) {
		found := slices.DeleteFunc(all(), func(rec one) bool {
			name, part := strings.TrimSuffix(r.FormValue("name"), "."), r.FormValue("content.contains")
			return name != "" && rec.Name != name || !strings.Contains(rec.Content, part)
		})
		say(w, 200, found, len(found), "")
	})
	absolute := func(name string) string {
		if zone := strings.TrimSuffix(c.zone, "."); !strings.HasSuffix(strings.TrimSuffix(name, "."), "."+zone) {
			name += "." + zone
		}
		return strings.TrimSuffix(name, ".") + "."
	}
	mux.HandleFunc("POST /client/v4/zones/z1/dns_records", func(w http.ResponseWriter, r *http.Request) {
		var rec one
		json.NewDecoder(r.Body).Decode(&rec)
		name := absolute(rec.Name)
		c.set(name, append(slices.Clone(c.sets[name]), rec.Content)...)
		rec.ID, rec.Name = name+"/0", strings.TrimSuffix(name, ".")
		say(w, 200, rec, 1, "")
	})
	changed := func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		var rec one
		if r.Method == http.MethodPatch {
			json.NewDecoder(r.Body).Decode(&rec)
			c.set(name, rec.Content)
		} else {
			c.set(name)
		}
		say(w, 200, one{ID: name, Type: "TXT", Name: name, Content: rec.Content}, 1, "")
	}
	mux.HandleFunc("PATCH /client/v4/zones/z1/dns_records/{name}/{n}", changed)
	mux.HandleFunc("DELETE /client/v4/zones/z1/dns_records/{name}/{n}", changed)
	return c.guarded(mux, "Authorization", "Bearer "+apiToken, func(w http.ResponseWriter, code int) { say(w, code, nil, 0, "Invalid access token") })
}

// desec serves https://desec.io/api/v1.
func (c *cloud) desec() http.Handler {
	type set struct {
		Subname string   `json:"subname"`
		Type    string   `json:"type"`
		Records []string `json:"records"`
		TTL     int      `json:"ttl"`
	}
	domain := strings.TrimSuffix(c.zone, ".")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/domains/"+domain+"/rrsets/{$}", func(w http.ResponseWriter, r *http.Request) {
		sets := []set{}
		for name, records := range c.sets {
			sets = append(sets, set{strings.TrimSuffix(name, "."+c.zone), "TXT", records, 3600})
		}
		json.NewEncoder(w).Encode(sets)
	})
	mux.HandleFunc("GET /api/v1/domains/"+domain+"/rrsets/{name}/TXT", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		records, ok := c.sets[name+"."+c.zone]
		if !ok {
			http.Error(w, `{"detail":"Not found."}`, http.StatusNotFound)
			return
		}
		json.NewEncoder(w).Encode(set{name, "TXT", records, 3600})
	})
	mux.HandleFunc("PUT /api/v1/domains/"+domain+"/rrsets/{$}", func(w http.ResponseWriter, r *http.Request) {
		var sets []set
		json.NewDecoder(r.Body).Decode(&sets)
		for _, s := range sets {
			if s.TTL < 3600 {
				http.Error(w, `[{"ttl":["Ensure this value is greater than or equal to 3600."]}]`, http.StatusBadRequest)
				return
			}
			c.set(s.Subname+"."+c.zone, s.Records...)
		}
		json.NewEncoder(w).Encode(sets)
	})
	return c.guarded(mux, "Authorization", "Token "+apiToken, func(w http.ResponseWriter, code int) {
		http.Error(w, `{"detail":"Invalid token."}`, code)
	})
}

// awsQuery is the part of the language of aws --query that our script uses.
var awsQuery = regexp.MustCompile(`^(HostedZones|ResourceRecordSets)\[\?Name=='([^']*)' && (?:!\(Config\.PrivateZone\)|Type=='TXT')\](\.Id)? \| \[0\]$`)

// route53 serves what the command line of AWS asks for: "aws route53 VERB --OPTION VALUE
// ...", as the path /VERB and a form.
func (c *cloud) route53() http.Handler {
	type value struct{ Value string }
	type set struct {
		Name            string
		Type            string
		TTL             int
		ResourceRecords []value
	}
	fail := func(w http.ResponseWriter, code string) {
		http.Error(w, "An error occurred ("+code+") when calling Route 53", http.StatusBadRequest)
	}
	current := func(name string) *set {
		s := &set{Name: name, Type: "TXT", TTL: 3600}
		for _, record := range c.sets[name] {
			s.ResourceRecords = append(s.ResourceRecords, value{record})
		}
		if len(s.ResourceRecords) == 0 {
			return nil
		}
		return s
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/list-hosted-zones-by-name", func(w http.ResponseWriter, r *http.Request) {
		query := awsQuery.FindStringSubmatch(r.FormValue("query"))
		switch {
		case query == nil || query[1] != "HostedZones" || query[3] != ".Id" || r.FormValue("output") != "text":
			fail(w, "InvalidInput")
		case query[2] != c.zone || r.FormValue("dns-name")+"." != c.zone:
			fmt.Fprintln(w, "None")
		default:
			fmt.Fprintln(w, "/hostedzone/Z1")
		}
	})
	mux.HandleFunc("/list-resource-record-sets", func(w http.ResponseWriter, r *http.Request) {
		query := awsQuery.FindStringSubmatch(r.FormValue("query"))
		if query == nil || query[1] != "ResourceRecordSets" || query[2] != r.FormValue("start-record-name") ||
			r.FormValue("output") != "json" || r.FormValue("hosted-zone-id") != "/hostedzone/Z1" {
			fail(w, "InvalidInput")
			return
		}
		json.NewEncoder(w).Encode(current(query[2]))
	})
	mux.HandleFunc("/change-resource-record-sets", func(w http.ResponseWriter, r *http.Request) {
		var batch struct {
			Changes []struct {
				Action            string
				ResourceRecordSet set
			}
		}
		if err := json.Unmarshal([]byte(r.FormValue("change-batch")), &batch); err != nil {
			fail(w, "InvalidChangeBatch")
			return
		}
		for _, change := range batch.Changes {
			want, name := change.ResourceRecordSet, change.ResourceRecordSet.Name
			switch {
			case change.Action == "UPSERT":
				c.set(name)
				for _, record := range want.ResourceRecords {
					c.set(name, append(c.sets[name], record.Value)...)
				}
			case change.Action == "DELETE" && reflect.DeepEqual(&want, current(name)):
				c.set(name)
			default:
				fail(w, "InvalidChangeBatch")
				return
			}
		}
		fmt.Fprintln(w, `{"ChangeInfo": {"Id": "/change/C1", "Status": "PENDING"}}`)
	})
	return c.guarded(mux, "Authorization", apiToken, func(w http.ResponseWriter, code int) {
		http.Error(w, "An error occurred (InvalidClientTokenId) when calling Route 53", code)
	})
}

// awsCommand is the command line of AWS, as far as its world has it.
func awsCommand(args []string) error {
	if len(args) < 2 || args[0] != "route53" || len(args)%2 != 0 {
		return fmt.Errorf("usage: aws route53 VERB --OPTION VALUE ...")
	}
	form := make(url.Values)
	for i := 2; i < len(args); i += 2 {
		form.Set(strings.TrimPrefix(args[i], "--"), args[i+1])
	}
	request, err := http.NewRequest(http.MethodPost, os.Getenv("AWS_ENDPOINT_URL")+"/"+args[1], strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Authorization", os.Getenv("AWS_ACCESS_KEY_ID"))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", said)
	}
	if err == nil {
		_, err = os.Stdout.Write(said)
	}
	return err
}

// TestMain is also the program aws, where it is called by that name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "aws" {
		os.Exit(runTests(m))
	}
	if err := awsCommand(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(254)
	}
}

// guarded lets in who has the token, one at a time.
func (c *cloud) guarded(next http.Handler, header, begins string, refuse func(http.ResponseWriter, int)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if given := r.Header.Get(header); !strings.HasPrefix(given, begins) {
			refuse(w, http.StatusForbidden)
			return
		}
		if c.fails && r.Method != http.MethodGet && !strings.HasPrefix(r.URL.Path, "/list-") {
			refuse(w, http.StatusBadRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
