package system

import (
	"bytes"
	"errors"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"signpost/test/kubernetes"

	"github.com/emersion/go-msgauth/dkim"
)

// Keys are replaced in every way that people do it while mail flows. Every
// message is signed, by the old key or the new; from the moment the log says
// so, by the new one.
func TestKeysAreReplacedUnderMail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var d *daemon
	ways := []struct {
		domain  string
		replace func(file string, next key)
	}{
		{"rename.example", w.dropKey},
		{"truncate.example", func(file string, next key) { w.truncateAndWrite(d, file, next) }},
		{"older.example", w.copyOlder},
		{"swap.example", w.mountSecret},
	}
	var domains []string
	oldKeys, newKeys := make(map[string]key), make(map[string]key)
	for _, way := range ways {
		domains = append(domains, way.domain)
		oldKeys[way.domain], newKeys[way.domain] = newKey(t, "rsa"), newKey(t, "rsa")
		if way.domain != "swap.example" {
			w.dropKey(way.domain+".private", oldKeys[way.domain])
		}
	}
	w.mountSecret("swap.example.private", oldKeys["swap.example"])

	d = w.startDaemon()
	p := w.startPostfix(w.milterAddr())
	s := p.startStream(4, domains...)
	s.awaitMore(20)
	inForce := make(map[string]time.Time)
	for _, way := range ways {
		start := time.Now()
		way.replace(way.domain+".private", newKeys[way.domain])
		await(t, "the new key of "+way.domain, func() bool {
			return len(d.logged("key replaced", "domain="+way.domain)) > 0
		})
		inForce[way.domain] = time.Now()
		t.Logf("%s: in force after %v", way.domain, time.Since(start))
	}
	s.awaitMore(20)
	all, refused := s.finish()
	if len(refused) > 0 {
		t.Errorf("%d attempts failed, first %v", len(refused), refused[0])
	}

	var signedByOld, signedByNew []signedMessage
	for _, way := range ways {
		byOld, byNew := split(t, of(all, way.domain), oldKeys[way.domain], newKeys[way.domain])
		t.Logf("%s: %d messages signed by the old key, %d by the new", way.domain, len(byOld), len(byNew))
		for _, m := range all {
			if m.domain == way.domain && m.begun.After(inForce[way.domain]) && slices.ContainsFunc(byOld, m.is) {
				t.Errorf("%s was begun after the new key was in force and is signed by the old", m.id)
			}
		}
		if len(byOld) == 0 || len(byNew) == 0 {
			t.Errorf("%s: one of the keys signed nothing", way.domain)
		}
		want := rsaSignature(way.domain, "mail")
		w.publishKey(oldKeys[way.domain], want)
		signedByOld = append(signedByOld, allSignedBy(byOld, want)...)
		signedByNew = append(signedByNew, allSignedBy(byNew, want)...)
	}
	w.mustVerifyAll(signedByOld)
	for _, way := range ways {
		w.publishKey(newKeys[way.domain], rsaSignature(way.domain, "mail"))
	}
	w.mustVerifyAll(signedByNew)
}

func allSignedBy(messages [][]byte, want ...signature) []signedMessage {
	var all []signedMessage
	for _, data := range messages {
		all = append(all, signedMessage{data, want})
	}
	return all
}

func (r received) is(data []byte) bool { return bytes.Equal(r.data, data) }

// split tells by which of two keys of one name each message is signed.
func split(t *testing.T, messages [][]byte, oldKey, newKey key) (byOld, byNew [][]byte) {
	t.Helper()
	for _, message := range messages {
		switch {
		case signedBy(message, oldKey):
			byOld = append(byOld, message)
		case signedBy(message, newKey):
			byNew = append(byNew, message)
		default:
			t.Fatalf("message is not signed by either key:\n%s", message)
		}
	}
	return byOld, byNew
}

func signedBy(message []byte, k key) bool {
	results, err := dkim.VerifyWithOptions(bytes.NewReader(message), &dkim.VerifyOptions{
		LookupTXT: func(string) ([]string, error) { return []string{k.text}, nil },
	})
	return err == nil && len(results) == 1 && results[0].Err == nil
}

// truncateAndWrite rewrites the file in place as an editor or a shell would:
// it is empty first, and half there for a while.
func (w *world) truncateAndWrite(d *daemon, file string, next key) {
	f, err := os.OpenFile(filepath.Join(w.keys, file), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	half := len(next.pem) / 2
	if _, err := f.Write(next.pem[:half]); err != nil {
		w.t.Fatal(err)
	}
	await(w.t, "the half-written key to be noticed", func() bool { return len(d.logged("key broken", file)) > 0 })
	if _, err := f.Write(next.pem[half:]); err != nil {
		w.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// copyOlder puts a key in place that is older than the one before, by its
// modification time, as `cp -p` and a restored backup do.
func (w *world) copyOlder(file string, next key) {
	old := time.Now().Add(-365 * 24 * time.Hour)
	path := filepath.Join(w.keys, file)
	if err := os.WriteFile(path+".new", next.pem, 0o644); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Chtimes(path+".new", old, old); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		w.t.Fatal(err)
	}
}

// mountSecret mounts a Kubernetes Secret with one key, or brings the mount to a new one.
func (w *world) mountSecret(file string, k key) {
	w.t.Helper()
	if err := kubernetes.Mount(w.keys, map[string][]byte{file: k.pem}); err != nil {
		w.t.Fatal(err)
	}
}

// Keys of other selectors and algorithms are dropped in and taken away while
// mail flows. Each message verifies with the records of the keys it names.
func TestKeysComeAndGoUnderMail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second := rsaSignature("example.org", "s1"), rsaSignature("example.org", "s2")
	third := ed25519Signature("example.org", "e1")
	w.addKey("rsa", "example.org/s1.private", first)
	d := w.startDaemon("ALLOWED_SENDER_DOMAINS=example.org", "--dns-check=off") // in force at once
	p := w.startPostfix(w.milterAddr())
	s := p.startStream(4, "example.org")

	steps := []struct {
		change func()
		log    []string
		want   []signature // from then on
	}{
		{func() {}, []string{"listening"}, []signature{first}},
		{func() { w.addKey("rsa", "example.org/s2.private", second) }, []string{"key added", "selector=s2"}, []signature{second}},
		{func() { w.addKey("ed25519", "example.org.e1.key", third) }, []string{"key added", "selector=e1"}, []signature{second, third}},
		{func() { w.removeKey("example.org/s2.private") }, []string{"key removed", "selector=s2"}, []signature{first, third}},
		{func() { w.removeKey("example.org.e1.key") }, []string{"key removed", "selector=e1"}, []signature{first}},
	}
	var changing, changed []time.Time
	for _, step := range steps {
		changing = append(changing, time.Now())
		step.change()
		await(t, step.log[0], func() bool { return len(d.logged(step.log...)) > 0 })
		changed = append(changed, time.Now())
		s.awaitMore(15)
	}
	all, refused := s.finish()
	if len(refused) > 0 {
		t.Errorf("%d attempts failed, first %v", len(refused), refused[0])
	}
	changing = append(changing, time.Now())
	for i, step := range steps {
		settled := 0
		for _, m := range all {
			if m.begun.After(changed[i]) && m.ended.Before(changing[i+1]) {
				w.mustBeOneOf(m.data, step.want)
				settled++
			}
		}
		if settled < 10 {
			t.Errorf("after %q: %d messages, want at least 10", step.log, settled)
		}
	}
	// Around a change the set before is as right as the set after.
	var messages []signedMessage
	for _, m := range all {
		w.mustBeOneOf(m.data, []signature{first}, []signature{second}, []signature{second, third}, []signature{first, third})
		messages = append(messages, signedMessage{m.data, signatures(m.data)})
	}
	w.mustVerifyAll(messages)
}

// The only key of a domain that must be signed goes: nothing leaves unsigned,
// and everything arrives when it is back.
func TestRemovedKeyHoldsMailBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	only := rsaSignature("example.org", "mail")
	k := w.addKey("rsa", "example.org.private", only)
	d := w.startDaemon("ALLOWED_SENDER_DOMAINS=example.org")
	p := w.startPostfix(w.milterAddr())
	s := p.startStream(3, "example.org")
	s.awaitMore(10)
	w.removeKey("example.org.private")
	s.awaitRefusals(10)
	w.dropKey("example.org.private", k)
	await(t, "the key to be back", func() bool { return len(d.logged("key added")) > 0 })
	s.awaitMore(10)
	all, refused := s.finish()
	for _, r := range refused {
		var reply *textproto.Error
		if !errors.As(r.err, &reply) || reply.Code != 451 {
			t.Errorf("%s failed with %v, want 451", r.id, r.err)
		}
	}
	w.mustVerifyAll(allSignedBy(of(all, "example.org"), only))
}
