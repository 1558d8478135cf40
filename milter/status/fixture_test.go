package status

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/rotation"
	"signpost/milter"
	"signpost/milter/status/view"
)

var noon = time.Date(2026, 11, 25, 12, 0, 30, 0, time.UTC)

const recordValue = "v=DKIM1; h=sha256; k=rsa; s=email; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA3oghIzUEDmXhwMZ" +
	"S4fMbtJ7p2tVq0n1mEoyJ0cV8J5rYb9w6yN1cWQkHn8o0Yk2GmQd5b3kV7cQIDAQAB0cV8J5rYb9w6yN1cWQkHn8o0Yk2GmQd5b3kV7cQIDAQAB"

// A domain in the midst of a rotation, one that is broken, one that has no key,
// and one that is well.
func someDomains() []view.Domain {
	return []view.Domain{
		{Name: "example.org", Must: true, Keys: []view.Key{
			{Selector: "s20261125", Algorithm: "rsa", Bits: 2048, File: "/etc/opendkim/keys/example.org/s20261125.private", Stage: rotation.Pending, Publish: true,
				Since: noon.Add(-7 * time.Minute), Made: noon.Add(-7 * time.Minute), Evidence: "the name does not exist",
				Checked: noon.Add(-20 * time.Second), Next: noon.Add(40 * time.Second), Advice: "publish this record; the key signs as soon as it is visible",
				RecordName: "s20261125._domainkey.example.org", RecordValue: recordValue},
			{Selector: "mail", Algorithm: "rsa", Bits: 2048, File: "/etc/opendkim/keys/example.org.private", Stage: rotation.Active,
				Since: noon.Add(-200 * 24 * time.Hour), Made: noon.Add(-200 * 24 * time.Hour), Evidence: "the record is this key",
				Checked: noon.Add(-3 * time.Minute), Next: noon.Add(50 * time.Minute),
				RecordName: "mail._domainkey.example.org", RecordValue: recordValue},
		}},
		{Name: "broken.example", Keys: []view.Key{{File: "/etc/opendkim/keys/broken.example.private", Stage: rotation.Broken,
			Failure: "no whole PEM block of a private key found: it has no END line, so the file is cut off"}}},
		{Name: "missing.example", Must: true, Problems: []string{"its mail is deferred: no key"}, Keys: []view.Key{}},
		{Name: "quiet.example", Keys: []view.Key{{Selector: "k1", Algorithm: "ed25519", Bits: 256, File: "/etc/opendkim/keys/quiet.example.k1.key",
			Stage: rotation.Active, Made: noon.Add(-30 * 24 * time.Hour), RecordName: "k1._domainkey.quiet.example", RecordValue: "v=DKIM1; k=ed25519; p=abc="}}},
	}
}

func sourceOf(domains []view.Domain) *Source {
	byName := make(map[string]view.Domain)
	for _, d := range domains {
		byName[d.Name] = d
	}
	index := NewIndex(func(yield func(Summary) bool) {
		for _, d := range domains {
			sum := Summary{Name: d.Name}
			if len(d.Problems) > 0 {
				sum.Attention = Urgent
			}
			for _, key := range d.Keys {
				sum.Stages = append(sum.Stages, key.Stage)
				switch key.Stage {
				case rotation.Broken:
					sum.Attention = Urgent
				case rotation.Pending:
					sum.Attention = max(sum.Attention, Waits)
				}
			}
			if !yield(sum) {
				return
			}
		}
	})
	return &Source{
		Version: "1.2.3", RSA: "crypto/rsa", Started: noon.Add(-50 * time.Hour), Listen: []string{"inet:127.0.0.1:8891"},
		Readiness: func() Readiness { return Readiness{} },
		AlsoSign:  func() *view.AlsoSign { return nil },
		Reports:   func() *view.Reports { return nil },
		Verdicts:  func(func(string, *view.DMARC) bool) {},
		Signs: func(name string) error {
			if _, ok := byName[name]; !ok {
				return keystore.ErrNoKey
			}
			return nil
		},
		Index:    func() *Index { return index },
		Domain:   func(name string) (view.Domain, bool) { d, ok := byName[name]; return d, ok },
		Sessions: func() (int, int64) { return 3, 17 },
		Refused:  func() map[string]int64 { return map[string]int64{"peer": 2, "frame": 1} },
		Memory:   func() (int, int) { return 12 << 20, 256 << 20 },
		Reloads:  func() (int64, int64) { return 5, 1 },
		Invalid:  func() []string { return nil },
		Held:     func() keystore.Held { return keystore.Held{} },
		Answers:  func() []keystore.Answers { return nil },
		Round: func() rotation.Round {
			return rotation.Round{Length: 90 * time.Minute, Domains: 4, Nodes: []string{"a", "b"}}
		},
	}
}

// unready is a source that can sign nothing, for these reasons and domains.
func (s *Source) unready(down []string, domains ...Unsignable) {
	s.Readiness = func() Readiness { return Readiness{down, domains} }
}

func recorderOf(source *Source, limit int) *Recorder {
	r := NewRecorder(limit, func(author string) (string, bool) {
		_, ok := source.Domain(author)
		if !ok {
			return "", false
		}
		return author, true
	})
	r.now = func() time.Time { return noon }
	return r
}

func signed(domain, selector string) *milter.Outcome {
	return &milter.Outcome{
		Verdict: milter.Verdict{Reason: milter.Signed, Author: domain,
			Keys: []*keystore.Key{{Domain: domain, Selector: selector, Algorithm: keystore.RSA}}},
		Client: milter.Client{Addr: netip.MustParseAddr("10.0.0.7"), Login: "anna"}, QueueID: "4ZxY1k2Qzz", Took: time.Millisecond,
	}
}

// someMail is what a morning brings.
func someMail(r *Recorder) {
	for range 1234 {
		r.Observe(signed("example.org", "mail"))
	}
	for range 17 {
		r.Observe(&milter.Outcome{Verdict: milter.Verdict{Reason: milter.UntrustedClient, Author: "example.org"},
			Client: milter.Client{Addr: netip.MustParseAddr("203.0.113.9")}, QueueID: "4ZxY1k2Qaa"})
	}
	r.Observe(&milter.Outcome{Verdict: milter.Verdict{Reason: milter.NoKey, Action: milter.TempFail, Author: "missing.example",
		Err: errors.New("no key for missing.example, and its mail must be signed")},
		Client: milter.Client{Local: true}, QueueID: "4ZxY1k2Qbb"})
	r.Observe(&milter.Outcome{Verdict: milter.Verdict{Reason: milter.NoKey, Author: "elsewhere.example"},
		Client: milter.Client{Addr: netip.MustParseAddr("10.0.0.8")}, QueueID: "4ZxY1k2Qcc"})
}

var localhost = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func serve(t *testing.T, source *Source, recorder *Recorder) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(NewHandler(source, recorder, Access{Peers: localhost}, slog.New(slog.DiscardHandler)))
	t.Cleanup(server.Close)
	return server
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func contains(t *testing.T, text string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// manyDomains are in good order, all but the last.
func manyDomains(n int) []view.Domain {
	domains := make([]view.Domain, n)
	for i := range domains {
		name := fmt.Sprintf("d%06d.example", i)
		domains[i] = view.Domain{Name: name, Keys: []view.Key{{Selector: "mail", Algorithm: "rsa", Bits: 2048, Stage: rotation.Active,
			RecordName: "mail._domainkey." + name, RecordValue: recordValue}}}
	}
	domains[n-1].Keys[0].Stage = rotation.Broken
	return domains
}
