package rotation

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"signpost/keystore"
	"signpost/keystore/record"
	"signpost/test/lab/nameserver"
	"signpost/test/lab/testlog"
)

// A shared is a book with keys that any domain may use.
type shared struct {
	*testing.T
	source  *keystore.Shared
	paths   map[string]string // by selector
	state   string
	zone    *nameserver.Zone
	log     *testlog.Log
	book    *Book
	checker *Checker
}

// newShared makes a key for each selector.
func newShared(t *testing.T, selectors ...string) *shared {
	t.Helper()
	s := &shared{T: t, paths: make(map[string]string), state: t.TempDir(), zone: nameserver.NewZone(t), log: &testlog.Log{}}
	for _, selector := range selectors {
		s.paths[selector] = filepath.Join(t.TempDir(), "shared.private")
		s.replace(selector)
	}
	s.start(On)
	return s
}

func (s *shared) replace(selector string) {
	s.Helper()
	if err := os.WriteFile(s.paths[selector], ed25519PEM(s), 0o600); err != nil {
		s.Fatal(err)
	}
}

// start opens the book as signpostd does.
func (s *shared) start(mode Mode) {
	s.Helper()
	log := slog.New(slog.NewTextHandler(s.log, nil))
	store, err := keystore.Open(keystore.Options{Dir: s.TempDir()}, log)
	if err != nil {
		s.Fatal(err)
	}
	var files []keystore.KeyFile
	for selector, path := range s.paths {
		files = append(files, keystore.KeyFile{Selector: selector, Path: path})
	}
	keys, err := keystore.LoadShared(files, keystore.Options{})
	if err != nil {
		s.Fatal(err)
	}
	s.source = keystore.NewShared(store, keys, log)
	for _, domain := range Proven(s.state, keys.Of("")) {
		s.source.Want(domain)
	}
	if s.book, err = Open(s.source, mode, State{Dir: s.state, Node: "n1"}, log); err != nil {
		s.Fatal(err)
	}
	s.source.Follow(s.book.Signs)
	s.checker = NewChecker(s.book, DNS{Resolver: resolverOf(s, s.zone), Rate: 10_000})
}

func (s *shared) record(selector string) string {
	s.Helper()
	for _, key := range s.source.Domain("a.example").List() {
		if key.Selector == selector {
			text, err := record.ForKey(key.Signer.Public())
			if err != nil {
				s.Fatal(err)
			}
			return text.String()
		}
	}
	s.Fatalf("no key with selector %s", selector)
	return ""
}

func (s *shared) publish(selector string) {
	s.Helper()
	s.zone.Withdraw(record.Name(selector, "a.example"))
	s.zone.PublishTXT(record.Name(selector, "a.example"), s.record(selector))
}

// signs has the DNS asked, and asserts who signs.
func (s *shared) signs(what, want string) {
	s.Helper()
	s.checker.check(s.Context(), "a.example")
	s.signsNow(what, want)
}

func (s *shared) signsNow(what, want string) {
	s.Helper()
	got := describeSigning(s.book, "a.example")
	if want == "" && !strings.HasPrefix(got, "no key of its own, and the DNS is not known to have the shared one at ") ||
		want != "" && got != want {
		s.Errorf("%s: %q signs, want %q", what, got, want)
	}
	if _, err := s.book.Take("a.example"); (err == nil) != (want != "") {
		s.Errorf("%s: taken with %v", what, err)
	}
}

// A shared key signs for a domain while that is known to publish it, by a CNAME or not, and
// never before. A DNS that does not answer changes nothing.
func TestSharedKeyIsProvenByTheDNS(t *testing.T) {
	t.Parallel()
	s := newShared(t, "s1")
	s.source.Want("a.example")
	s.signsNow("nobody has asked", "")
	s.signs("nothing is published", "")
	if got := stages(s.book, "a.example", time.Now()); got["s1"] != Pending {
		t.Errorf("stages %v", got)
	}
	s.zone.PublishTXT("s1._domainkey.relay.example", s.record("s1"))
	s.zone.Publish(t, "a.example", "s1._domainkey IN CNAME s1._domainkey.relay.example.\n")
	s.signs("a CNAME", "s1:ed25519")
	s.zone.Fail(nameserver.Code(miekg.RcodeServerFailure))
	s.signs("the DNS fails", "s1:ed25519")
	s.zone.Fail(nil)
	s.zone.Withdraw("s1._domainkey.relay.example")
	s.zone.PublishTXT("s1._domainkey.relay.example", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
	s.signs("another key", "")
	if all := s.book.Status("a.example", time.Now()); all[0].Stage != Pending || all[0].Next != Publish || all[0].Signs {
		t.Errorf("got %+v", all[0])
	}
	if text := s.log.String(); strings.Count(text, "the record of the shared key is gone, so the domain has no key") != 1 {
		t.Errorf("the log does not say once that it is gone:\n%s", text)
	}
	s.zone.Withdraw("s1._domainkey.a.example")
	s.publish("s1")
	s.signs("the record itself", "s1:ed25519")
	s.zone.Withdraw("s1._domainkey.a.example")
	s.signs("no name", "")
}

// What the DNS proved is known after a restart, also where it does not answer then.
func TestSharedKeyAfterARestart(t *testing.T) {
	t.Parallel()
	s := newShared(t, "s1")
	s.source.Want("a.example")
	s.source.Want("b.example")
	s.publish("s1")
	s.signs("published", "s1:ed25519")
	s.checker.check(t.Context(), "b.example")
	if err := s.book.writeState(false); err != nil {
		t.Fatal(err)
	}
	s.zone.Fail(nameserver.Code(miekg.RcodeServerFailure))
	s.start(On)
	s.signsNow("after a restart", "s1:ed25519")
	s.signs("the DNS fails", "s1:ed25519")
	if got := s.source.Snapshot().Domains(); !slices.Equal(got, []string{"a.example"}) {
		t.Errorf("%q are known: only what was published is of interest", got)
	}
	// Another key has the name now: nothing is known of that.
	s.replace("s1")
	s.start(On)
	s.source.Want("a.example")
	s.signsNow("another key in the file", "")
}

// When the file is replaced, each domain goes on with the old key until its record is that
// of the new one.
func TestSharedKeyIsReplaced(t *testing.T) {
	t.Parallel()
	s := newShared(t, "s1")
	s.source.Want("a.example")
	s.publish("s1")
	s.signs("published", "s1:ed25519")
	before, _ := s.book.Signing("a.example")
	s.replace("s1")
	if err := s.source.Reload(); err != nil {
		t.Fatal(err)
	}
	s.signs("replaced, and the record is the old one", "s1:ed25519")
	if now, _ := s.book.Signing("a.example"); !now[0].Equal(before[0]) {
		t.Error("the new key signs, and nobody can verify that")
	}
	s.publish("s1")
	s.signs("the record is the new one", "s1:ed25519")
	if now, _ := s.book.Signing("a.example"); now[0].Equal(before[0]) {
		t.Error("the old key goes on signing")
	}
}

// Of two shared keys the newest that is published signs, whatever the mode.
func TestSharedKeysTakeTurns(t *testing.T) {
	t.Parallel()
	for _, mode := range []Mode{On, Warn} {
		s := newShared(t, "s1", "s2")
		s.start(mode)
		s.source.Want("a.example")
		s.signs("neither is published", "")
		s.publish("s1")
		s.signs("the first is", "s1:ed25519")
		s.publish("s2")
		s.signs("both are", "s2:ed25519")
		if got := stages(s.book, "a.example", time.Now()); got["s1"] != Retiring || got["s2"] != Active {
			t.Errorf("stages %v", got)
		}
		s.zone.Withdraw("s1._domainkey.a.example")
		s.signs("the second is", "s2:ed25519")
	}
}

// A domain that mail came from is asked about within seconds, after those with keys.
func TestSharedKeyIsAskedForSoon(t *testing.T) {
	t.Parallel()
	s := newShared(t, "s1")
	s.source.Want("b.example")
	s.source.Want("a.example")
	if now := time.Now().Add(2 * firstPause); !slices.Contains(s.checker.due(now), "a.example") {
		t.Error("it is not asked for")
	}
	s.checker.Hurry("own.example")
	if due := s.checker.due(time.Now().Add(2 * firstPause)); len(due) != 3 || due[0] != "own.example" {
		t.Errorf("due are %q", due)
	}
}

// Lines of the state that are of other keys, or nonsense, prove nothing.
func FuzzProven(f *testing.F) {
	f.Add([]byte(stateHeader + "\nkey a.example s1 000102030405060708090a0b0c0d0e0f there 1 2 3 4\nkey a.example s1\n"))
	seed, err := keystore.ParsePrivate([]byte("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="))
	if err != nil {
		f.Fatal(err)
	}
	key := &keystore.Key{Selector: "s1", Signer: seed}
	f.Fuzz(func(t *testing.T, data []byte) {
		domains := make(map[string]bool)
		provenIn(data, []*keystore.Key{key}, domains)
		for domain := range domains {
			if !strings.Contains(string(data), domain) {
				t.Errorf("%q is proven by nothing", domain)
			}
		}
	})
}
