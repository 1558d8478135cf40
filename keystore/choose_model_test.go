package keystore

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"signpost/keystore/dns"
)

// model is a domain with a DNS, and a store that is asked by nobody but the test.
type model struct {
	directory
	random   *rand.Rand
	loader   *loader
	state    *state
	now      time.Time
	zone     map[string]*Key // by selector, what the DNS has
	dnsFails bool
	log      []string

	// The keys that the last check of each found published, as far as a store
	// can know: it must not act against that.
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
func FuzzWhichKeySigns(f *testing.F) {
	for seed := range uint64(30) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		m := &model{
			directory: newDirectory(t), random: rand.New(rand.NewPCG(seed, 7)), now: time.Unix(1_800_000_000, 0),
			zone: make(map[string]*Key), there: make(map[string]bool),
		}
		m.start(nil)
		for range 60 {
			m.step()
			m.assert()
		}
	})
}

var modelSelectors = []string{"s1", "s2", "s3"}

func (m *model) start(marks map[print]mark) {
	m.loader = newLoader(Options{Dir: m.path, Check: CheckOn})
	m.loader.now = func() time.Time { return m.now }
	m.loader.remembered.Store(&marks)
	m.state = m.loader.build("a.example", []string{"a.example/"}, nil)
	m.loader.remembered.Store(nil)
}

func (m *model) note(format string, args ...any) { m.log = append(m.log, fmt.Sprintf(format, args...)) }

func (m *model) step() {
	m.Helper()
	selector := modelSelectors[m.random.IntN(len(modelSelectors))]
	file := filepath.Join(m.path, "a.example", selector+".private")
	before := slices.Clone(m.state.signing)
	switch m.random.IntN(11) {
	case 0, 1: // a new or another key
		m.note("write %s", selector)
		m.replace(file)
	case 2:
		m.note("remove %s", selector)
		_ = os.Remove(file)
		m.reload()
	case 3:
		m.note("touch %s", selector)
		at := m.now.Add(-time.Duration(m.random.IntN(1000)) * time.Hour)
		_ = os.Chtimes(file, at, at)
		m.reload()
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
		if m.dnsFails && !slices.EqualFunc(before, m.state.signing, (*Key).Equal) {
			m.Fatalf("a DNS that fails changed what signs: %v\n%s", m.describe(), strings.Join(m.log, "\n"))
		}
	case 10:
		if m.random.IntN(2) == 0 {
			m.note("restart with state")
			marks := make(map[print]mark)
			for i, key := range m.state.keys {
				marks[fingerprint(key)] = m.state.marks[i]
			}
			m.start(marks)
		} else {
			m.note("restart without state")
			clear(m.there)
			m.start(nil)
		}
	}
	m.forget()
	m.now = m.now.Add(time.Duration(m.random.IntN(100)) * time.Hour)
}

// forget forgets what was known of keys that are no more: of those without a file
// and, after a restart, of those that were replaced in theirs.
func (m *model) forget() {
	gone := func(name string, _ bool) bool {
		return !slices.ContainsFunc(m.state.keys, func(key *Key) bool { return m.name(key) == name })
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
		data = pkcs8(m, rsaKeys(1024, m.random.IntN(3)))
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
	m.reload()
}

// reload reads the folder, as long after a file has gone as it takes.
func (m *model) reload() {
	for _, f := range m.state.files {
		if f.gone != 0 {
			f.gone -= int64(grace)
		}
	}
	m.state = m.loader.build("a.example", []string{"a.example/"}, m.state)
	if m.state.missing() {
		for _, f := range m.state.files {
			if f.gone != 0 {
				f.gone -= int64(grace)
			}
		}
		m.state = m.loader.build("a.example", []string{"a.example/"}, m.state)
	}
}

// current returns the key in a file.
func (m *model) current(selector string) *Key {
	for _, f := range m.state.files {
		if f.Selector == selector && f.Signer != nil {
			return &f.Key
		}
	}
	return nil
}

func (m *model) name(key *Key) string { p := fingerprint(key); return key.Selector + string(p[:]) }

// check asks the DNS about each key, in the order that they have.
func (m *model) check() {
	m.note("check")
	if m.dnsFails {
		return // no clear answer, so nothing is learned
	}
	for _, key := range slices.Clone(m.state.keys) {
		if m.random.IntN(8) == 0 {
			m.note("no answer about %s", key.Selector)
			continue
		}
		presence := dns.Missing
		if in := m.zone[key.Selector]; in != nil && in.Equal(key) {
			presence = dns.There
		}
		m.state = m.loader.learned(m.state, key, presence)
		delete(m.there, m.name(key))
		if presence == dns.There {
			m.there[m.name(key)] = true
		}
	}
}

func (m *model) assert() {
	m.Helper()
	usable := 0
	for _, f := range m.state.files {
		if f.Signer != nil {
			usable++
		}
	}
	if usable > 0 && len(m.state.signing) == 0 {
		m.Fatalf("nothing signs: %s\n%s", m.describe(), strings.Join(m.log, "\n"))
	}
	for _, f := range m.state.files {
		if f.Signer != nil && f.gone == 0 && !slices.ContainsFunc(m.state.keys, f.Key.Equal) {
			m.Fatalf("the key of %s is lost: %s\n%s", f.Selector, m.describe(), strings.Join(m.log, "\n"))
		}
	}
	anyThere := false
	for _, key := range m.state.keys {
		anyThere = anyThere || m.there[m.name(key)]
	}
	for i, key := range m.state.keys {
		signs := slices.Contains(m.state.signing, key)
		if signs && anyThere && !m.there[m.name(key)] {
			m.Fatalf("%s signs, and another key is the one that is published: %s\n%s", key.Selector, m.describe(), strings.Join(m.log, "\n"))
		}
		if stage, _ := m.state.marks[i].stage(m.now); (stage == Active) != signs {
			m.Fatalf("%s is %s and signs: %t\n%s", key.Selector, stage, signs, strings.Join(m.log, "\n"))
		}
	}
}

func (m *model) describe() string {
	var b strings.Builder
	for i, key := range m.state.keys {
		stage, _ := m.state.marks[i].stage(m.now)
		fmt.Fprintf(&b, "%s %s %s %s; ", key.Selector, key.Algorithm, stage, m.state.marks[i].presence)
	}
	return b.String()
}
