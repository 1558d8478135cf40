package rotation

import (
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/dns"
)

// model is a domain with a DNS, and a book that is told by nobody but the test.
type model struct {
	directory
	random   *rand.Rand
	snapshot *keystore.Snapshot
	book     *Book
	page     *page
	now      time.Time
	zone     map[string]*keystore.Key // by selector, what the DNS has
	dnsFails bool
	log      []string

	// The keys that the last check of each found published, as far as a book can
	// know: it must not act against that.
	there map[string]bool
}

// FuzzWhichKeySigns plays random lives of keys, records, failures and restarts,
// and asserts what must hold after each step, whatever happens:
//
//   - no key signs whose record is known to be missing while another's is known
//     to be there
//   - a domain with a key that can sign is signed for; no failure of the DNS
//     changes who signs
//   - a key is active if and only if it signs
//   - Decide says what the book does
func FuzzWhichKeySigns(f *testing.F) {
	for seed := range uint64(30) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		m := &model{
			directory: newDirectory(t), random: rand.New(rand.NewPCG(seed, 7)), now: time.Unix(1_800_000_000, 0),
			zone: make(map[string]*keystore.Key), there: make(map[string]bool),
		}
		m.start(nil)
		for range 60 {
			m.step()
			m.assert()
		}
	})
}

const modelDomain = "a.example"

var modelSelectors = []string{"s1", "s2", "s3"}

func (m *model) start(marks map[fingerprint]Mark) {
	m.book = newBook(nil, On, State{}, slog.New(slog.DiscardHandler))
	m.book.now = func() time.Time { return m.now }
	m.book.remembered.Store(&memory{marks: marks})
	m.snapshot, m.page = nil, nil
	m.load()
	m.book.remembered.Store(nil)
}

func (m *model) load() {
	m.Helper()
	var err error
	if m.snapshot, err = keystore.Load(keystore.Options{Dir: m.path}); err != nil {
		m.Fatal(err)
	}
	m.page = m.book.write(m.snapshot.Domain(modelDomain), m.page, notes{})
}

func (m *model) note(format string, args ...any) { m.log = append(m.log, fmt.Sprintf(format, args...)) }

func (m *model) step() {
	m.Helper()
	selector := modelSelectors[m.random.IntN(len(modelSelectors))]
	file := filepath.Join(m.path, modelDomain, selector+".private")
	before := slices.Clone(m.page.signing)
	switch m.random.IntN(12) {
	case 0, 1: // a new or another key
		m.note("write %s", selector)
		m.replace(file)
	case 2:
		m.note("remove %s", selector)
		_ = os.Remove(file)
		m.load()
	case 3:
		m.note("touch %s", selector)
		at := m.now.Add(-time.Duration(m.random.IntN(1000)) * time.Hour)
		_ = os.Chtimes(file, at, at)
		m.load()
	case 4, 5:
		if key := m.current(selector); key != nil {
			m.note("publish %s", selector)
			m.zone[selector] = key
		}
	case 6:
		m.note("withdraw %s", selector)
		delete(m.zone, selector)
	case 7:
		m.dnsFails = !m.dnsFails
		m.note("dns fails: %t", m.dnsFails)
	case 8, 9:
		m.check()
		if m.dnsFails && !slices.EqualFunc(before, m.page.signing, (*keystore.Key).Equal) {
			m.Fatalf("a DNS that fails changed what signs: %v\n%s", m.describe(), strings.Join(m.log, "\n"))
		}
	case 10:
		if m.random.IntN(2) == 0 {
			m.note("restart with state")
			marks := make(map[fingerprint]Mark)
			for i, key := range m.page.list() {
				marks[fingerprintOf(key)] = m.page.marks[i]
			}
			m.start(marks)
		} else {
			m.note("restart without state")
			clear(m.there)
			m.start(nil)
		}
	case 11: // a message is signed
		if m.book.provisional(m.page) {
			s := m.book.shard(modelDomain)
			s.set(modelDomain, m.page)
			m.book.use(modelDomain)
			m.page = s.find(modelDomain)
		}
	}
	m.forget()
	m.now = m.now.Add(time.Duration(m.random.IntN(100)) * time.Hour)
}

// forget forgets what was known of keys that are no more: of those without a file
// and, after a restart, of those that were replaced in theirs.
func (m *model) forget() {
	gone := func(name string, _ bool) bool {
		return !slices.ContainsFunc(m.page.list(), func(key *keystore.Key) bool { return m.name(key) == name })
	}
	maps.DeleteFunc(m.there, gone)
}

// replace makes a key, and puts it in place as a careful program does.
func (m *model) replace(file string) {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		m.Fatal(err)
	}
	aside := filepath.Join(m.path, ".aside")
	data := ed25519PEM(m)
	if m.random.IntN(2) == 0 {
		data = pkcs8(m, rsaKeys(m.random.IntN(3)))
	}
	if err := os.WriteFile(aside, data, 0o600); err != nil {
		m.Fatal(err)
	}
	if err := os.Chtimes(aside, m.now, m.now); err != nil {
		m.Fatal(err)
	}
	if err := os.Rename(aside, file); err != nil {
		m.Fatal(err)
	}
	m.load()
}

// current returns the key in a file.
func (m *model) current(selector string) *keystore.Key {
	for _, key := range m.snapshot.Keys(modelDomain) {
		if key.Selector == selector {
			return key
		}
	}
	return nil
}

func (m *model) name(key *keystore.Key) string {
	p := fingerprintOf(key)
	return key.Selector + string(p[:])
}

// check asks the DNS about each key.
func (m *model) check() {
	m.note("check")
	answers := make([]answer, len(m.page.list()))
	for i, key := range m.page.list() {
		if m.dnsFails {
			continue // no clear answer, so nothing is learned
		}
		if m.random.IntN(8) == 0 {
			m.note("no answer about %s", key.Selector)
			continue
		}
		answers[i].Presence = dns.Missing
		if in := m.zone[key.Selector]; in != nil && in.Equal(key) {
			answers[i].Presence = dns.There
		}
		delete(m.there, m.name(key))
		if answers[i].Presence == dns.There {
			m.there[m.name(key)] = true
		}
	}
	m.page = m.book.learned(m.page, m.page.list(), answers)
}

func (m *model) assert() {
	m.Helper()
	fail := func(format string, args ...any) {
		m.Helper()
		m.Fatalf("%s: %s\n%s", fmt.Sprintf(format, args...), m.describe(), strings.Join(m.log, "\n"))
	}
	keys := m.snapshot.Keys(modelDomain)
	if len(keys) > 0 && len(m.page.signing) == 0 {
		fail("nothing signs")
	}
	for _, key := range keys {
		if !slices.ContainsFunc(m.page.list(), key.Equal) {
			fail("the key of %s is lost", key.Selector)
		}
	}
	anyThere := false
	for _, key := range m.page.list() {
		anyThere = anyThere || m.there[m.name(key)]
	}
	decided := Decide(m.page.list(), m.page.marks, On, m.now)
	if !slices.Equal(Signing(decided), m.page.signing) {
		fail("Decide has other keys sign")
	}
	for _, s := range decided {
		if s.Signs && anyThere && !m.there[m.name(s.Key)] {
			fail("%s signs, and another key is the one that is published", s.Selector)
		}
		if (s.Stage == Active) != s.Signs {
			fail("%s is %s and signs: %t", s.Selector, s.Stage, s.Signs)
		}
	}
}

func (m *model) describe() string {
	var b strings.Builder
	for _, s := range Decide(m.page.list(), m.page.marks, On, m.now) {
		fmt.Fprintf(&b, "%s %s %s %s; ", s.Selector, s.Algorithm, s.Stage, s.Mark.Presence)
	}
	return b.String()
}
