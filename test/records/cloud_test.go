package records

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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
	return nameserver.Serve(t, dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) { c.ServeDNS(recursive{w}, query) }))
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

// route53 serves https://route53.amazonaws.com/2013-04-01.
func (c *cloud) route53() http.Handler {
	type resource struct{ Value string }
	type set struct {
		Name            string
		Type            string
		TTL             int
		ResourceRecords []resource `xml:"ResourceRecords>ResourceRecord"`
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2013-04-01/hostedzonesbyname", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `<?xml version="1.0"?><ListHostedZonesByNameResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><HostedZones><HostedZone>`+
			`<Id>/hostedzone/Z1</Id><Name>%s</Name><CallerReference>x</CallerReference><Config><PrivateZone>false</PrivateZone></Config>`+
			`</HostedZone></HostedZones><IsTruncated>false</IsTruncated><MaxItems>1</MaxItems></ListHostedZonesByNameResponse>`, c.zone)
	})
	mux.HandleFunc("GET /2013-04-01/hostedzone/Z1/rrset", func(w http.ResponseWriter, r *http.Request) {
		var answer struct {
			XMLName     xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ListResourceRecordSetsResponse"`
			Sets        []set    `xml:"ResourceRecordSets>ResourceRecordSet"`
			IsTruncated bool
			MaxItems    int
		}
		answer.MaxItems = 1000
		for name, records := range c.sets {
			s := set{Name: name, Type: "TXT", TTL: 3600}
			for _, record := range records {
				s.ResourceRecords = append(s.ResourceRecords, resource{record})
			}
			answer.Sets = append(answer.Sets, s)
		}
		xml.NewEncoder(w).Encode(answer)
	})
	mux.HandleFunc("POST /2013-04-01/hostedzone/Z1/rrset", func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Changes []struct {
				Action            string
				ResourceRecordSet set
			} `xml:"ChangeBatch>Changes>Change"`
		}
		xml.NewDecoder(r.Body).Decode(&asked)
		for _, change := range asked.Changes {
			name, want := strings.TrimSuffix(change.ResourceRecordSet.Name, ".")+".", []string{}
			for _, record := range change.ResourceRecordSet.ResourceRecords {
				want = append(want, record.Value)
			}
			switch {
			case change.Action == "UPSERT":
				c.set(name, want...)
			case change.Action == "DELETE" && slices.Equal(want, c.sets[name]):
				c.set(name)
			default:
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, `<ErrorResponse><Error><Code>InvalidChangeBatch</Code><Message>the values provided do not match the current values</Message></Error></ErrorResponse>`)
				return
			}
		}
		fmt.Fprintf(w, `<?xml version="1.0"?><ChangeResourceRecordSetsResponse><ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status><SubmittedAt>%s</SubmittedAt></ChangeInfo></ChangeResourceRecordSetsResponse>`, time.Now().UTC().Format(time.RFC3339))
	})
	return c.guarded(mux, "Authorization", "AWS4-HMAC-SHA256 Credential="+apiToken+"/", func(w http.ResponseWriter, code int) {
		w.WriteHeader(code)
		fmt.Fprint(w, `<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid</Message></Error></ErrorResponse>`)
	})
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
		if c.fails && r.Method != http.MethodGet {
			refuse(w, http.StatusBadRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
