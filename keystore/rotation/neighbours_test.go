package rotation

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/test/lab/nameserver"
	"signpost/test/lab/testlog"
)

// sharing is a node with a key directory of its own, and a state directory that it shares.
func (d directory) sharing(node, state string) (*Book, *Checker, *nameserver.Zone, *testlog.Log) {
	d.Helper()
	log := &testlog.Log{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	store, err := keystore.Open(keystore.Options{Dir: d.path}, logger)
	if err != nil {
		d.Fatal(err)
	}
	book, err := Open(store, On, State{state, node}, logger)
	if err != nil {
		d.Fatal(err)
	}
	zone := nameserver.NewZone(d)
	checker := NewChecker(book, DNS{Resolver: resolverOf(d, zone), Rate: 10_000})
	checker.Share(node, book.Neighbours())
	return book, checker, zone, log
}

// Two nodes share a state directory: each has a file of its own, knows what the other one
// found, and keeps that over a restart without a DNS.
func TestSharedStateDirectory(t *testing.T) {
	t.Parallel()
	d, state := newDirectory(t), t.TempDir()
	d.write("a.example/s1.private", pkcs8(t, rsaKeys(0)))
	d.write("a.example/s2.private", pkcs8(t, rsaKeys(1)))
	d.write("b.example/s1.private", pkcs8(t, rsaKeys(2)))
	one, checkerOne, zone, _ := d.sharing("one", state)
	two, checkerTwo, deaf, log := d.sharing("two", state)
	deaf.Fail(nameserver.Silent)
	publish(t, zone, one, "a.example", "s2")
	publish(t, zone, one, "b.example", "s1")
	for _, domain := range []string{"a.example", "b.example"} {
		checkerOne.check(t.Context(), domain)
	}
	if got := describeSigning(two, "a.example"); got != "s1:rsa" {
		t.Fatalf("%s signs at the other node before it has heard anything", got)
	}
	save := func(b *Book) {
		t.Helper()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		b.Save(ended)
	}
	if err := one.writeState(false); err != nil {
		t.Fatal(err)
	}
	nodes, err := checkerTwo.shares[0].Fetch(t.Context(), checkerTwo.hear)
	if err != nil || !slices.Equal(nodes, []string{"one"}) {
		t.Errorf("%v live, %v", nodes, err)
	}
	if got := describeSigning(two, "a.example"); got != "s2:rsa" || log.Count("as another node found") == 0 {
		t.Errorf("%s signs at the other node:\n%s", got, log)
	}
	save(two)
	save(one)
	// A file that took long to read is left alone for a while.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if nodes, _ = checkerTwo.shares[0].Fetch(t.Context(), checkerTwo.hear); len(nodes) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v live after the end", nodes)
		}
	}
	for _, node := range []string{"one", "two"} {
		info, err := os.Stat(filepath.Join(state, statePrefix+node))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
	}
	// It starts without a DNS: once with its file, once as a node that never was.
	for _, node := range []string{"two", "three"} {
		again, checker, zone, _ := d.sharing(node, state)
		zone.Fail(nameserver.Silent)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		checker.First(ctx)
		cancel()
		if got := describeSigning(again, "a.example"); got != "s2:rsa" {
			t.Errorf("%s signs with %s after a start without a DNS", node, got)
		}
		if key := again.Status("b.example", time.Now())[0]; key.Mark.Presence != dns.There {
			t.Errorf("%s knows of a key with a domain of its own: %v", node, key.Mark.Presence)
		}
	}
}

// A finding about another key of the same name says nothing of this one.
func TestFindingsAboutOtherKeys(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	here, there := newDirectory(t), newDirectory(t)
	here.write("a.example/s1.private", pkcs8(t, rsaKeys(0)))
	there.write("a.example/s1.private", pkcs8(t, rsaKeys(0)))
	here.write("a.example/s2.private", pkcs8(t, rsaKeys(1)))
	there.write("a.example/s2.private", pkcs8(t, rsaKeys(2)))
	book, checker, _, _ := here.sharing("here", state)
	other, otherChecker, zone, _ := there.sharing("there", state)
	publish(t, zone, other, "a.example", "s2")
	otherChecker.check(t.Context(), "a.example")
	if err := other.writeState(false); err != nil {
		t.Fatal(err)
	}
	if _, err := checker.shares[0].Fetch(t.Context(), checker.hear); err != nil {
		t.Fatal(err)
	}
	if got := describeSigning(book, "a.example"); got != "s1:rsa" {
		t.Errorf("%s signs", got)
	}
	for _, key := range book.Status("a.example", time.Now()) {
		if want := map[string]dns.Presence{"s1": dns.Missing, "s2": dns.Unknown}[key.Selector]; key.Mark.Presence != want {
			t.Errorf("%s is %v", key.Selector, key.Mark.Presence)
		}
	}
}

// Files of others may be anything, and are read only when they were replaced.
func TestFilesOfNeighbours(t *testing.T) {
	t.Parallel()
	d, state := newDirectory(t), t.TempDir()
	d.write("a.example/s1.private", pkcs8(t, rsaKeys(0)))
	book, checker, _, log := d.sharing("self", state)
	write := func(name, text string, old time.Duration) string {
		t.Helper()
		path := filepath.Join(state, name)
		aside := filepath.Join(state, ".aside")
		if err := os.WriteFile(aside, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-old)
		if err := os.Chtimes(aside, at, at); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(aside, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := book.store.Domain("a.example").List()[0]
	line := func(m Mark) string {
		var b strings.Builder
		writeMark(&b, key, m)
		return stateHeader + "\nnode x here\n" + b.String()
	}
	now := At(time.Now())
	write(statePrefix+"damaged", stateHeader+"\nkey x\n", 0)
	write(statePrefix+"binary", "\x00\xff", 0)
	write(statePrefix+"ahead", line(Mark{}.answered(dns.Missing, true, time.Now().Add(24*time.Hour))), 0)
	write(statePrefix+"bad name", line(Mark{}), 0)
	write(stateFile, line(Mark{Presence: dns.There, Asked: now - 100}), 0)
	write(statePrefix+"quiet", line(Mark{}), aliveFor+time.Minute)
	write(statePrefix+"tomorrow", line(Mark{}), -24*time.Hour) // by another clock
	ancient := write(statePrefix+"ancient", line(Mark{}), keepFor+time.Hour)
	if err := os.Mkdir(filepath.Join(state, statePrefix+"folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	fetch := func() []string {
		t.Helper()
		nodes, err := checker.shares[0].Fetch(t.Context(), checker.hear)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(nodes)
		return nodes
	}
	for range 2 {
		if got := fetch(); !slices.Equal(got, []string{"ahead", "binary", "damaged", "tomorrow"}) {
			t.Errorf("%v live", got)
		}
	}
	presence := func() dns.Presence { return book.Status("a.example", time.Now())[0].Mark.Presence }
	if got := presence(); got != dns.There {
		t.Errorf("the key is %v, as the file of a former version does not say", got)
	}
	if log.Count("the state of another node is lost in part") != 2 || log.Count("is from the future, and ignored") != 1 {
		t.Errorf("the log says\n%s", log)
	}
	if _, err := os.Stat(ancient); !os.IsNotExist(err) {
		t.Errorf("a file of long ago is there: %v", err)
	}

	// No longer than others, which do not change either.
	tomorrow := checker.shares[0].Exchange.(*Neighbours).seen[statePrefix+"tomorrow"]
	tomorrow.moved = tomorrow.moved.Add(-aliveFor)
	if got := fetch(); slices.Contains(got, "tomorrow") {
		t.Errorf("%v live", got)
	}
	// A node whose clock is far ahead of that of the file system removes nothing.
	write(statePrefix+"self", line(Mark{}), keepFor)
	other := write(statePrefix+"other", line(Mark{}), keepFor+time.Hour)
	fetch()
	if _, err := os.Stat(other); err != nil {
		t.Errorf("the file of a node that has just been there: %v", err)
	}
	_ = os.Remove(other)
	write(statePrefix+"self", line(Mark{}), 0)

	// It beats without being replaced, and is not read for that.
	beating := State{Dir: state, Node: "quiet"}
	beating.beat()
	if got := fetch(); !slices.Contains(got, "quiet") {
		t.Errorf("%v live after the heartbeat", got)
	}
	data, err := os.ReadFile(beating.file())
	if err != nil || !strings.HasPrefix(string(data), stateHeader+"\nnode x here\n") {
		t.Errorf("after the heartbeat the file has %q, %v", data, err)
	}

	// Nodes that have another name at each start do not fill the directory.
	for i := range 3 * manyFiles {
		write(statePrefix+"many-"+strings.Repeat("x", i), line(Mark{}), keepMany+time.Duration(i)*time.Minute)
	}
	fetch()
	files, err := filepath.Glob(filepath.Join(state, statePrefix+"many-*"))
	if err != nil || len(files) > manyFiles {
		t.Errorf("%d files are left, %v", len(files), err)
	}
}

// A node that has another name than before, as a new container has, goes on with what the
// one before knew; a file that was not written by a node with a name is read too.
func TestStateUnderAnotherName(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	d.write("a.example/s1.private", pkcs8(t, rsaKeys(0)))
	d.write("a.example/s2.private", pkcs8(t, rsaKeys(1)))
	for _, file := range []string{statePrefix + "before", stateFile} {
		state := t.TempDir()
		book, checker, zone, _ := d.sharing("before", state)
		publish(t, zone, book, "a.example", "s2")
		checker.check(t.Context(), "a.example")
		if err := book.writeState(true); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(state, statePrefix+"before"), filepath.Join(state, file)); err != nil {
			t.Fatal(err)
		}
		now := time.Now().Add(time.Hour)
		want := book.Status("a.example", now)
		again, _, _, _ := d.sharing("after", state)
		for i, got := range again.Status("a.example", now) {
			if got.Stage != want[i].Stage || got.Mark != want[i].Mark {
				t.Errorf("%s: %s is %s with %+v, before %s with %+v", file, got.Selector, got.Stage, got.Mark, want[i].Stage, want[i].Mark)
			}
		}
	}
}
