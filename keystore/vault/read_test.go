package vault

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"signpost/keystore/vault/vaulttest"
)

// The same keys are read from both versions of KV, at the root of a mount and below.
func TestReadRspamd(t *testing.T) {
	for _, kv := range []int{1, 2} {
		for _, path := range []string{"secret/dkim", "dkim", "team/kv/mail/dkim"} {
			t.Run(fmt.Sprintf("kv%d %s", kv, path), func(t *testing.T) {
				t.Parallel()
				s := vaulttest.Start(t)
				s.Mount(map[string]string{"secret/dkim": "secret", "dkim": "dkim", "team/kv/mail/dkim": "team/kv"}[path], kv)
				s.Put(path+"/example.org", selectors(
					fields{"selector": "s2", "domain": "example.org", "key": base64Of(rsaKey()), "alg": "rsa", "bits": 1024,
						"pubkey": "x", "valid_start": 1700000000},
					fields{"selector": "ed", "key": string(pemOf(edKey(0))), "alg": "ed25519", "valid_start": "1700000001", "valid_end": 1800000000.5},
				))
				s.Put(path+"/other.example", selectors(fields{"selector": "x", "key": base64Of(edKey(1))}))
				b := onServer(t, s, path)
				if got := list(t, b); !slices.Equal(got, []string{"example.org", "other.example"}) {
					t.Errorf("List: %q", got)
				}
				found, err := b.Read(t.Context(), []string{"none.example", "other.example", "example.org"})
				if err != nil {
					t.Fatal(err)
				}
				if len(found) != 3 || len(found[0]) != 0 || len(found[1]) != 1 || len(found[2]) != 2 {
					t.Fatalf("Read: %v", found)
				}
				sameKey(t, found[1][0], edKey(1))
				rsa, ed := found[2][0], found[2][1]
				sameKey(t, rsa, rsaKey())
				sameKey(t, ed, edKey(0))
				if want := b.Name() + "/example.org selector s2"; rsa.Place != want || b.Name() != "vault:"+s.URL+"/"+path {
					t.Errorf("place %q, not %q", rsa.Place, want)
				}
				if rsa.Selector != "s2" || !rsa.Made.Equal(time.Unix(1700000000, 0)) || !rsa.NotBefore.Equal(rsa.Made) || !rsa.NotAfter.IsZero() {
					t.Errorf("entry: %+v", rsa)
				}
				if !ed.NotBefore.Equal(time.Unix(1700000001, 0)) || !ed.NotAfter.Equal(time.Unix(1800000000, 0)) {
					t.Errorf("entry: %+v", ed)
				}
			})
		}
	}
}

func TestReadKumoMTA(t *testing.T) {
	for _, kv := range []int{1, 2} {
		t.Run(fmt.Sprint("kv", kv), func(t *testing.T) {
			t.Parallel()
			s := vaulttest.Start(t)
			s.Mount("secret", kv)
			s.Put("secret/dkim/example.org/s1", fields{"key": string(pemOf(rsaKey()))})
			s.Put("secret/dkim/example.org/s2", fields{"key": base64Of(edKey(0)), "comment": "héllo\n"})
			s.Put("secret/dkim/example.org/deeper/s3", fields{"key": base64Of(edKey(0))})
			s.Put("secret/dkim/example.org/not a selector", fields{"key": base64Of(edKey(0))})
			s.Put("secret/dkim/example.org/broken", fields{"private": "x"})
			b := onServer(t, s, "secret/dkim")
			if got := list(t, b); !slices.Equal(got, []string{"example.org"}) {
				t.Errorf("List: %q", got)
			}
			found := read(t, b, "example.org")
			if len(found) != 4 {
				t.Fatalf("Read: %v", found)
			}
			for _, e := range found {
				switch e.Selector {
				case "s1":
					sameKey(t, e, rsaKey())
				case "s2":
					sameKey(t, e, edKey(0))
				default:
					if e.Err == nil || e.Data != nil {
						t.Errorf("entry without an error: %+v", e)
					}
				}
				if want := b.Name() + "/example.org/" + e.Selector; e.Place != want {
					t.Errorf("place %q, not %q", e.Place, want)
				}
				if made := !e.Made.IsZero(); made != (kv == 2) && e.Err == nil {
					t.Errorf("made %v with KV %d", e.Made, kv)
				}
			}
			if got := read(t, b, "none.example"); len(got) != 0 {
				t.Errorf("a domain that is not there: %v", got)
			}
		})
	}
}

// Both layouts may be there, for one domain too, and ?layout= leaves one.
func TestReadBothLayouts(t *testing.T) {
	t.Parallel()
	s := vaulttest.Start(t)
	s.Mount("secret", 2)
	s.Put("secret/dkim/both.example", selectors(fields{"selector": "r", "key": base64Of(edKey(0))}))
	s.Put("secret/dkim/both.example/k", fields{"key": base64Of(edKey(1))})
	s.Put("secret/dkim/rspamd.example", selectors(fields{"selector": "r", "key": base64Of(edKey(0))}))
	s.Put("secret/dkim/kumo.example/k", fields{"key": base64Of(edKey(1))})
	s.Put("secret/dkim/plain.example", fields{"key": base64Of(edKey(2))})
	s.Put("secret/dkim/UPPER.example", selectors(fields{"selector": "r", "key": base64Of(edKey(0))}))
	s.Put("secret/dkim/signpost/notes/both.example", fields{"notes": "x"})
	s.Put("secret/dkim/default", fields{"x": "y"})
	for _, test := range []struct {
		query   string
		domains string
		keys    string // selectors of domains that have any
	}{
		{"", "both.example kumo.example plain.example rspamd.example upper.example",
			"both.example:k both.example:r kumo.example:k plain.example:! rspamd.example:r upper.example:r"},
		{"?layout=rspamd&selector=p", "both.example plain.example rspamd.example upper.example",
			"both.example:r plain.example:p rspamd.example:r upper.example:r"},
		{"?layout=kumomta", "both.example kumo.example", "both.example:k kumo.example:k"},
	} {
		b := onServer(t, s, "secret/dkim"+test.query)
		for _, listed := range []bool{false, true} {
			if listed {
				if got := strings.Join(list(t, b), " "); got != test.domains {
					t.Errorf("%s: listed %s\nand not %s", test.query, got, test.domains)
				}
			}
			var keys []string
			for _, domain := range []string{"both.example", "kumo.example", "plain.example", "rspamd.example", "upper.example"} {
				for _, e := range read(t, b, domain) {
					selector := e.Selector
					if e.Err != nil {
						selector += "!"
					}
					keys = append(keys, domain+":"+selector)
				}
			}
			slices.Sort(keys)
			want := test.keys
			if !listed { // how a domain is spelled is known from a list only
				want = strings.TrimSuffix(want, " upper.example:r")
			}
			if got := strings.Join(keys, " "); got != want {
				t.Errorf("%s: keys %s\nand not %s", test.query, got, want)
			}
		}
	}
}

// What is wrong with one key is said of it alone.
func TestReadBroken(t *testing.T) {
	t.Parallel()
	s := vaulttest.Start(t)
	s.Mount("secret", 1)
	s.Put("secret/dkim/example.org", `{"selectors": [
		{"selector": "a", "key": 5}, {"selector": "b"}, {"key": "x"}, "text", {"selector": "c", "key": "x", "domain": "other.example"},
		{"selector": "d", "key": "x", "valid_start": "soon"},
		{"selector": "e", "key": "x", "domain": "EXAMPLE.org.", "unknown": {"a": [1]}},
		{"selector": "f", "key": "\u0041\/\n\ud83d\ude00\"\\\t", "valid_end": 0}]}`)
	s.Put("secret/dkim/list.example", `{"selectors": {"a": 1}}`)
	s.Put("secret/dkim/else.example", `{"password": "geheim"}`)
	s.Put("secret/dkim/empty.example", `{"selectors": []}`)
	s.Put("secret/dkim/null.example", `{"selectors": null}`)
	b := onServer(t, s, "secret/dkim?layout=rspamd")
	found := read(t, b, "example.org")
	if len(found) != 8 {
		t.Fatalf("%d entries", len(found))
	}
	for _, e := range found[:6] {
		if e.Err == nil || e.Data != nil || e.Place == "" {
			t.Errorf("entry without an error: %+v", e)
		}
	}
	if found[6].Err != nil || string(found[6].Data) != "x" {
		t.Errorf("entry: %+v", found[6])
	}
	if string(found[7].Data) != "A/\n😀\"\\\t" || !found[7].NotAfter.IsZero() {
		t.Errorf("entry: %+v", found[7])
	}
	for domain, want := range map[string]int{"list.example": 1, "else.example": 1, "empty.example": 0, "null.example": 0} {
		got := read(t, b, domain)
		if len(got) != want || want == 1 && (got[0].Err == nil || strings.Contains(got[0].Err.Error(), "geheim")) {
			t.Errorf("%s: %+v", domain, got)
		}
	}
}

// OpenBao gives pages of a list; a server that ignores limit gives all at once.
func TestListPages(t *testing.T) {
	for _, paged := range []bool{false, true} {
		for _, size := range []int{7, 10, 11, 30, 1000} {
			t.Run(fmt.Sprint(paged, size), func(t *testing.T) {
				t.Parallel()
				s := vaulttest.Start(t)
				s.Set(vaulttest.Faults{Paged: paged})
				s.Mount("secret", 2)
				var want []string
				for i := range 30 {
					want = append(want, fmt.Sprintf("d%02d.example", i))
					s.Put("secret/dkim/"+want[i], selectors())
				}
				b := onServer(t, s, "secret/dkim")
				b.page = size
				if got := list(t, b); !slices.Equal(got, want) {
					t.Errorf("listed %d: %q", len(got), got)
				}
				requests := len(s.Requests()) - 1 // and the question for the mount
				most := 2                         // a whole list that is just as long as a page looks like one
				if paged {
					most = 30/size + 1
				}
				if lookup := 1; requests > most+lookup {
					t.Errorf("%d requests: %q", requests, s.Requests())
				}
			})
		}
	}
}

// Many domains are read with as many requests, no more than 16 at once.
func TestReadMany(t *testing.T) {
	t.Parallel()
	s := vaulttest.Start(t)
	s.Mount("secret", 2)
	var domains []string
	for i := range 200 {
		domains = append(domains, fmt.Sprintf("d%d.example", i))
		s.Put("secret/dkim/"+domains[i], selectors(fields{"selector": fmt.Sprint("s", i), "key": "x"}))
	}
	b := onServer(t, s, "secret/dkim?layout=rspamd")
	found, err := b.Read(t.Context(), domains)
	if err != nil {
		t.Fatal(err)
	}
	for i, entries := range found {
		if len(entries) != 1 || entries[0].Selector != fmt.Sprint("s", i) {
			t.Fatalf("%s: %+v", domains[i], entries)
		}
	}
	if n := len(s.Requests()); n < 200 || n > 202 { // the mount, and perhaps the life of the token
		t.Errorf("%d requests", n)
	}
}

// Where each domain with a folder has a secret too, the keys in the folders count as well.
func TestReadBothLayoutsOfEachDomain(t *testing.T) {
	t.Parallel()
	s := vaulttest.Start(t)
	s.Mount("secret", 2)
	s.Put("secret/dkim/both.example", selectors(fields{"selector": "r", "key": base64Of(edKey(0))}))
	s.Put("secret/dkim/both.example/k", fields{"key": base64Of(edKey(1))})
	b := onServer(t, s, "secret/dkim")
	if got := list(t, b); !slices.Equal(got, []string{"both.example"}) {
		t.Errorf("List: %q", got)
	}
	if found := read(t, b, "both.example"); len(found) != 2 {
		t.Errorf("Read: %v", found)
	}
}
