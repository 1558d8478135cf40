package rotation

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/record"
	"signpost/test/lab/nameserver"
	"signpost/test/lab/testlog"
)

// publish publishes the last key that the directory has under these names, in a zone
// that has no name servers, so that what the resolver says counts.
func publish(t testing.TB, zone *nameserver.Zone, book *Book, domain, selector string) {
	t.Helper()
	for _, key := range book.store.Domain(domain).List() {
		if key.Selector == selector {
			text, err := record.ForKey(key.Signer.Public())
			if err != nil {
				t.Fatal(err)
			}
			zone.Withdraw(record.Name(selector, domain))
			zone.PublishTXT(record.Name(selector, domain), text.String())
		}
	}
}

func resolverOf(t testing.TB, zone *nameserver.Zone) *dns.Resolver {
	return &dns.Resolver{Servers: []string{zone.Serve(t)}, Patience: time.Second, Attempts: 1}
}

// checked is a book with a checker, of a directory.
func (d directory) checked(mode Mode, state string) (*Book, *Checker, *nameserver.Zone, *testlog.Log) {
	d.Helper()
	log := &testlog.Log{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	store, err := keystore.Open(keystore.Options{Dir: d.path}, logger)
	if err != nil {
		d.Fatal(err)
	}
	book, err := Open(store, mode, State{state, "n1"}, logger)
	if err != nil {
		d.Fatal(err)
	}
	zone := nameserver.NewZone(d)
	return book, NewChecker(book, DNS{Resolver: resolverOf(d, zone), Rate: 10_000}), zone, log
}

func stages(b *Book, domain string, now time.Time) map[string]Stage {
	all := make(map[string]Stage)
	for _, status := range b.Status(domain, now) {
		all[status.Selector] = status.Stage
	}
	return all
}

// describeSigning names the keys that sign for a domain: "selector:type selector:type",
// or says why none does.
func describeSigning(b *Book, domain string) string {
	keys, err := b.Signing(domain)
	if err != nil {
		return finding.Text(err)
	}
	var names []string
	for _, key := range keys {
		names = append(names, fmt.Sprintf("%s:%s", key.Selector, key.Algorithm))
	}
	return strings.Join(names, " ")
}

// The life of two keys, step by step, and what the log says of it.
func TestCheckerAndStages(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	d.write("a.example/s1.private", pkcs8(t, rsaKeys(0)))
	d.write("a.example/s2.private", pkcs8(t, rsaKeys(1)))
	book, checker, z, log := d.checked(On, "")
	now := time.Now()
	step := func(what string, want map[string]Stage, says string) {
		t.Helper()
		checker.check(t.Context(), "a.example")
		if got := stages(book, "a.example", now); !maps.Equal(got, want) {
			t.Errorf("%s: stages %v, want %v", what, got, want)
		}
		if !strings.Contains(log.String(), says) {
			t.Errorf("%s: the log does not say %q:\n%s", what, says, log)
		}
	}
	step("nothing is published", map[string]Stage{"s1": Active, "s2": Pending}, "the signing key is not published, so its mail cannot be verified\" domain=a.example selector=s1")
	publish(t, z, book, "a.example", "s2")
	step("the second is", map[string]Stage{"s1": Retiring, "s2": Active}, `msg="signing keys changed" domain=a.example before=s1 now=s2`)
	publish(t, z, book, "a.example", "s1")
	step("both are", map[string]Stage{"s1": Retiring, "s2": Active}, "key is published")
	z.Fail(nameserver.Code(miekg.RcodeServerFailure))
	step("the DNS fails", map[string]Stage{"s1": Retiring, "s2": Active}, "the DNS cannot say whether a key is published, so the signing keys stay")
	z.Fail(nil)
	z.Withdraw("s2._domainkey.a.example")
	step("the second is gone", map[string]Stage{"s1": Active, "s2": Retiring}, "the record of a key is gone")
	z.Withdraw("s1._domainkey.a.example", "s2._domainkey.a.example")
	step("both are gone", map[string]Stage{"s1": Active, "s2": Retiring}, "the record of the signing key is gone, and no other key is published")
	now = now.Add(8 * 24 * time.Hour)
	step("a week later", map[string]Stage{"s1": Active, "s2": Retired}, "the DNS answers again")
}

// A key that is replaced in its file, under its name, goes on signing until the
// record is that of the new one.
func TestReplacedKeyWaitsForItsRecord(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	d.write("a.example.private", pkcs8(t, rsaKeys(0)))
	book, checker, z, _ := d.checked(On, "")
	publish(t, z, book, "a.example", "mail")
	signer := func() int {
		t.Helper()
		checker.check(t.Context(), "a.example")
		keys, err := book.Signing("a.example")
		if err != nil || len(keys) != 1 {
			t.Fatalf("%d keys sign, %v", len(keys), err)
		}
		return slices.IndexFunc([]int{0, 1, 2}, func(n int) bool { return rsaKeys(n).PublicKey.Equal(keys[0].Signer.Public()) })
	}
	if got := signer(); got != 0 {
		t.Fatalf("key %d signs at first", got)
	}
	for n := 1; n <= 2; n++ { // twice: the first to come is never published
		d.write("a.example.private", pkcs8(t, rsaKeys(n)))
		if err := book.store.Reload(); err != nil {
			t.Fatal(err)
		}
		if got := signer(); got != 0 {
			t.Errorf("key %d signs, and the record is that of the one before", got)
		}
	}
	publish(t, z, book, "a.example", "mail") // the last of that name
	if got := signer(); got != 2 {
		t.Errorf("key %d signs after the record of the last was published", got)
	}
	if keys := book.Status("a.example", time.Now()); len(keys) != 1 {
		t.Errorf("%d keys are left", len(keys))
	}
}

// With warn, and with off, the newest key signs at once.
func TestCheckThatDoesNotDecide(t *testing.T) {
	t.Parallel()
	for _, mode := range []Mode{Warn, Off} {
		d := newDirectory(t)
		d.write("a.example/s1.private", pkcs8(t, rsaKeys(0)))
		d.write("a.example/s2.private", pkcs8(t, rsaKeys(1)))
		book, checker, z, log := d.checked(mode, "")
		publish(t, z, book, "a.example", "s1")
		checker.check(t.Context(), "a.example")
		if got := describeSigning(book, "a.example"); got != "s2:rsa" {
			t.Errorf("with %q signs %s", mode, got)
		}
		if said := log.Count("the signing key is not published") > 0; said != (mode == Warn) {
			t.Errorf("with %q it is said: %t", mode, said)
		}
	}
}

// What was known before a restart is known after it, and a DNS that fails then
// changes nothing.
func TestStateOverRestart(t *testing.T) {
	t.Parallel()
	d, dir := newDirectory(t), t.TempDir()
	d.write("a.example/s1.private", pkcs8(t, rsaKeys(0)))
	d.write("a.example/s2.private", pkcs8(t, rsaKeys(1)))
	book, checker, z, _ := d.checked(On, dir)
	publish(t, z, book, "a.example", "s2")
	checker.check(t.Context(), "a.example")
	before := book.Status("a.example", time.Now())
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	book.Save(ended)

	again, checker, z, log := d.checked(On, dir)
	z.Fail(nameserver.Code(miekg.RcodeServerFailure))
	checker.First(t.Context())
	for i, status := range again.Status("a.example", time.Now()) {
		if want := before[i]; status.Stage != want.Stage || !status.Since.Equal(want.Since) || status.Mark != want.Mark {
			t.Errorf("%s: %+v, before the restart %+v", status.Selector, status, want)
		}
	}
	if got := describeSigning(again, "a.example"); got != "s2:rsa" {
		t.Errorf("after the restart signs %s", got)
	}

	// A state that is damaged or of something else is no reason not to start.
	for _, damage := range []string{"", "hello\n", stateHeader + "\nx", stateHeader + "\nkey a.example s1 zz there 1 1 1 0\n", "\xff\xfe"} {
		if err := os.WriteFile(filepath.Join(dir, statePrefix+"n1"), []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		damaged, _, _, log := d.checked(On, dir)
		if got := describeSigning(damaged, "a.example"); got != "s1:rsa" || log.Count("the state is lost in part") != 1 {
			t.Errorf("with the state %q signs %s:\n%s", damage, got, log)
		}
	}
	if _, err := Open(again.store, On, State{filepath.Join(dir, "nowhere"), "n1"}, slog.New(slog.NewTextHandler(log, nil))); err == nil || !strings.Contains(finding.Text(err), "hint: ") {
		t.Errorf("a state directory that is not there: %v", err)
	}
}

// With many domains each is asked for once in a round, and no more at one time
// than the limit allows.
func TestSweepAsksForAllOnce(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	const n = 300
	for i := range n {
		d.write(fmt.Sprintf("d%03d.example.private", i), ed25519PEM(t))
	}
	book, checker, z, _ := d.checked(On, "")
	for i := range n {
		publish(t, z, book, fmt.Sprintf("d%03d.example", i), "mail")
	}
	sweep := &checker.sweep
	now := time.Now()
	due := sweep.due(now, true)
	if len(due) != askers {
		t.Errorf("%d are due at once", len(due))
	}
	for len(sweep.names) > 0 {
		due = append(due, sweep.due(now, false)...)
	}
	slices.Sort(due)
	if len(due) != n || len(slices.Compact(due)) != n {
		t.Errorf("%d are due in the first round, want each of %d once", len(due), n)
	}
	// From then on, each within the hour.
	due = nil
	for range 3600 {
		due = append(due, sweep.due(now, false)...)
		now = now.Add(time.Second)
	}
	slices.Sort(due)
	if got := len(slices.Compact(slices.Clone(due))); got < n*9/10 || len(due) > n {
		t.Errorf("%d are due within an hour, %d of them different", len(due), got)
	}
	for _, name := range book.store.Snapshot().Domains() {
		checker.check(t.Context(), name)
	}
	checker.mu.Lock()
	defer checker.mu.Unlock()
	if len(checker.urgent) != 0 {
		t.Errorf("%d domains are asked for soon, though all are published", len(checker.urgent))
	}
}

// With many domains a start knows only those that it has read. What it writes down
// until then must not forget the others.
func TestStateIsKeptUntilAllIsRead(t *testing.T) {
	t.Parallel()
	d, dir := newDirectory(t), t.TempDir()
	key := ed25519PEM(t)
	for i := range 1001 {
		d.write(fmt.Sprintf("d%04d.example.private", i), key)
	}
	book, checker, z, _ := d.checked(On, dir)
	book.store.ReadAll()
	domains := []string{"d0001.example", "d0002.example"}
	for _, domain := range domains {
		publish(t, z, book, domain, "mail")
		checker.check(t.Context(), domain)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	book.Save(ended)
	known := func() int {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, statePrefix+"n1"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(data), " there ")
	}
	if got := known(); got != 2 {
		t.Fatalf("%d keys are known to be published", got)
	}

	again, checker, z, _ := d.checked(On, dir)
	publish(t, z, again, domains[0], "mail")
	checker.check(t.Context(), domains[0])
	again.Save(ended)
	if got := known(); got != 2 {
		t.Errorf("after a start that read one domain %d keys are known", got)
	}
	again.store.ReadAll()
	checker.check(t.Context(), domains[0])
	again.Save(ended)
	if got := known(); got != 2 {
		t.Errorf("when all is read %d keys are known", got)
	}
}

// A start that has read all keys before there is a watch, such as for domains that
// must be signed, keeps its state too.
func TestStateIsKeptWhenAllIsReadEarly(t *testing.T) {
	t.Parallel()
	d, dir := newDirectory(t), t.TempDir()
	key := ed25519PEM(t)
	for i := range 1001 {
		d.write(fmt.Sprintf("d%04d.example.private", i), key)
	}
	book, _, _, log := d.checked(On, dir)
	for _, name := range book.store.Snapshot().Domains() {
		if _, err := book.Take(name); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	book.store.Watch(ctx, time.Hour)
	book.Save(ctx)
	if data, err := os.ReadFile(filepath.Join(dir, statePrefix+"n1")); err != nil || strings.Count(string(data), "\n") != 1003 {
		t.Errorf("%v, %d lines are kept", err, strings.Count(string(data), "\n"))
	}
	if got := log.Count("keys loaded"); got != 1 {
		t.Errorf("%d times it is said that keys are loaded", got)
	}
}

// At a start there is no time to ask for many domains: then they are not asked
// for, rather than all at once.
func TestFirstKeepsToTheRate(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	for i := range 20 {
		d.write(fmt.Sprintf("d%d.example/s1.private", i), ed25519PEM(t))
		d.write(fmt.Sprintf("d%d.example/s2.private", i), ed25519PEM(t))
	}
	book, _, z, log := d.checked(On, "")
	for i := range 20 {
		publish(t, z, book, fmt.Sprintf("d%d.example", i), "s2")
	}
	checker := NewChecker(book, DNS{Resolver: resolverOf(t, z), Rate: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	checker.First(ctx)
	total := z.Asked(miekg.TypeTXT)
	if total > everywhere {
		t.Errorf("%d queries, and %d may be asked", total, everywhere)
	}
	if log.Count("the DNS cannot say") > 0 {
		t.Errorf("that there was no time is taken for a failure:\n%s", log)
	}
}

// hanging is a way to other nodes that never answers.
type hanging struct{}

func (hanging) Name() string { return "hanging" }

func (hanging) Fetch(ctx context.Context, _ func([]Finding)) ([]string, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// Another node that hangs does not keep a start from asking the DNS.
func TestFirstAsksThoughOthersHang(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	d.write("a.example/s1.private", ed25519PEM(t))
	d.write("a.example/s2.private", ed25519PEM(t))
	book, checker, z, _ := d.checked(On, "")
	publish(t, z, book, "a.example", "s2")
	checker.Share("n1", hanging{})
	ctx, cancel := context.WithTimeout(t.Context(), exchangeTime-time.Second/2)
	defer cancel()
	checker.First(ctx)
	if keys, err := book.Signing("a.example"); err != nil || len(keys) != 1 || keys[0].Selector != "s2" {
		t.Errorf("%v sign: %v", keys, err)
	}
}

// When the time for the first answers is over, those that came in time count.
func TestFirstKeepsWhatWasAnsweredInTime(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	for i := range 3 {
		d.write(fmt.Sprintf("a.example/s%d.private", i), pkcs8(t, rsaKeys(i)))
	}
	book, _, z, log := d.checked(On, "")
	publish(t, z, book, "a.example", "s1")
	checker := NewChecker(book, DNS{Resolver: resolverOf(t, z), Rate: 2*everywhere + 1}) // enough for two of three keys
	checker.limit.SetLimit(0.01)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	checker.First(ctx)
	if got := describeSigning(book, "a.example"); got != "s1:rsa" {
		t.Errorf("%s signs, and only s1 is published:\n%s", got, log)
	}
}

// Whoever asks for a domain while the DNS lets it wait does not wait for the pause too.
func TestHurryDuringCheck(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	d.write("a.example/s1.private", pkcs8(t, rsaKeys(0)))
	_, checker, z, _ := d.checked(On, "")
	asked := make(chan struct{})
	release := make(chan struct{})
	z.Fail(func(w miekg.ResponseWriter, query *miekg.Msg) {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-release
		nameserver.Code(miekg.RcodeServerFailure)(w, query)
	})
	checker.Hurry("a.example")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		checker.check(t.Context(), "a.example")
	}()
	<-asked
	checker.Hurry()
	close(release)
	<-ended
	if due := checker.due(time.Now()); !slices.Equal(due, []string{"a.example"}) {
		t.Errorf("due are %q, want the domain that is in a hurry", due)
	}
}
