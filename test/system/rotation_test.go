package system

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"signpost/test/lab"
	"signpost/test/lab/nameserver"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/miekg/dns"
)

// A rotation is a domain whose keys change under a steady stream of mail. Each
// message is verified against the DNS as it was when the message arrived, at
// every name server: not one may fail.
type rotation struct {
	*world
	d       *daemon
	p       *postfix
	s       *stream
	second  *nameserver.Zone // of the zone, beside the world's own
	options []string         // of the daemon
}

// rotated is its domain.
const rotated = "rotate.example"

// startRotation begins with one key, which is published, and mail that it signs.
func startRotation(t *testing.T, options ...string) *rotation {
	t.Helper()
	r := newRotation(t, options...)
	r.publish("s1", r.drop("s1"), r.dns, r.second)
	r.sign()
	r.awaitSigner("s1")
	return r
}

// newRotation makes the domain, without a key.
func newRotation(t *testing.T, options ...string) *rotation {
	t.Helper()
	w := newWorld(t)
	r := &rotation{world: w, options: append(options, "--http="+w.net+".8:8892")}
	if r.second = w.serveZone(".54"); r.second == nil {
		t.Fatal("no place for a second name server")
	}
	for _, ns := range []*nameserver.Zone{w.dns, r.second} {
		ns.Publish(t, rotated, fmt.Sprintf("@ IN SOA ns1 root 1 7200 900 1209600 60\n@ IN NS ns1\n@ IN NS ns2\nns1 IN A %s.53\nns2 IN A %s.54\n", w.net, w.net))
	}
	w.sink.Watch(w.dns, r.second)
	return r
}

// sign starts the daemon and a stream of mail.
func (r *rotation) sign() {
	r.t.Helper()
	r.start()
	// A second door, behind which a replica of the daemon may stand.
	r.services = "588 inet n - n - - smtpd -o smtpd_milters=inet:" + r.net + ".9:8891\n"
	// Postfix asks no DNS, for that is to fail.
	r.p = r.startPostfix(r.milterAddr(), "relayhost = ["+r.net+".25]:25", "smtpd_peername_lookup = no")
	r.s = r.p.startStream(2, rotated)
}

func (r *rotation) start() { r.d = r.startDaemon(r.options...) }

// restart stops the daemon as a container engine does, and starts it again.
func (r *rotation) restart() {
	r.t.Helper()
	r.d.kill(syscall.SIGTERM)
	r.start()
}

// drop makes a key and drops it into the key directory.
func (r *rotation) drop(selector string) key {
	r.t.Helper()
	k := newKey(r.t, "rsa")
	r.dropKey(rotated+"/"+selector+".private", k)
	return k
}

func (r *rotation) publish(selector string, k key, servers ...*nameserver.Zone) {
	r.t.Helper()
	for _, ns := range servers {
		ns.Publish(r.t, selector+"._domainkey."+rotated, k.record)
	}
	r.ask()
}

// ask has the daemon ask the DNS now, if it runs: on a busy machine it may have
// come to long intervals.
func (r *rotation) ask() {
	if r.d != nil && !r.d.ended() {
		r.d.signal(syscall.SIGHUP)
	}
}

func (r *rotation) withdraw(selector string) {
	for _, ns := range []*nameserver.Zone{r.dns, r.second} {
		ns.Withdraw(selector + "._domainkey." + rotated)
	}
}

// awaitSigner waits until the key signs what is sent from now on.
func (r *rotation) awaitSigner(selector string) {
	r.t.Helper()
	before := len(r.sink.All())
	await(r.t, "messages signed with "+selector, func() bool {
		signed := 0
		for _, d := range r.sink.All()[before:] {
			if slices.Equal(signatures(d.Data), []signature{rsaSignature(rotated, selector)}) {
				signed++
			}
		}
		return signed >= 5
	})
}

// staysWith lets the daemon ask the DNS a few times more, and asserts that the
// same key signs all along.
func (r *rotation) staysWith(selector string) {
	r.t.Helper()
	before := len(r.sink.All())
	asked := func() int { return r.dns.Asked(dns.TypeTXT) + r.second.Asked(dns.TypeTXT) }
	until := asked() + 2
	r.ask()
	await(r.t, "the daemon to ask the DNS", func() bool { return asked() >= until })
	r.s.awaitMore(10)
	for _, d := range r.sink.All()[before:] {
		r.mustBeOneOf(d.Data, []signature{rsaSignature(rotated, selector)})
	}
}

// awaitStages waits until the daemon shows these stages, by selector.
func (r *rotation) awaitStages(want map[string]string) {
	r.t.Helper()
	var got map[string]string
	defer func() {
		if r.t.Failed() {
			r.t.Logf("stages %v, want %v", got, want)
		}
	}()
	await(r.t, "the stages to be as they should", func() bool {
		got = make(map[string]string)
		response, err := http.Get("http://" + r.net + ".8:8892/status.json?domain=" + rotated)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		var view struct {
			Domains []struct {
				Keys []struct{ Selector, Stage string }
			}
		}
		if err := json.NewDecoder(response.Body).Decode(&view); err != nil || len(view.Domains) != 1 {
			return false
		}
		for _, key := range view.Domains[0].Keys {
			got[key.Selector] = key.Stage
		}
		return maps.Equal(got, want)
	})
}

// end ends the mail, and lets everything that arrived be judged.
func (r *rotation) end() {
	r.t.Helper()
	r.s.end()
	await(r.t, "everything to arrive", func() bool { return len(r.sink.All()) >= len(r.s.accepted) })
	signers := make(map[string]int)
	for _, d := range r.sink.All() {
		for i, view := range d.Views {
			if err := verifyAt(d.Data, view); err != nil {
				r.t.Fatalf("at name server %d of those that there were when it arrived: %v\n%s", i+1, err, start(d.Data))
			}
		}
		for _, s := range signatures(d.Data) {
			signers[s.selector]++
		}
	}
	r.t.Logf("%d messages, signed with %v", len(r.sink.All()), signers)
}

// verifyAt asserts that a message is signed, and that all of its signatures
// verify with the records.
func verifyAt(message []byte, records []dns.RR) error {
	results, err := dkim.VerifyWithOptions(bytes.NewReader(message), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) {
			for _, rr := range records {
				if txt, ok := rr.(*dns.TXT); ok && strings.EqualFold(rr.Header().Name, dns.Fqdn(name)) {
					return []string{strings.Join(txt.Txt, "")}, nil
				}
			}
			return nil, fmt.Errorf("%s is not in the DNS", name)
		},
	})
	if err == nil && len(results) == 0 {
		err = errors.New("it is not signed")
	}
	for _, result := range results {
		err = errors.Join(err, result.Err)
	}
	return err
}

// A failure is what both name servers do from some moment on.
type failure func(zone *nameserver.Zone) dns.HandlerFunc

var failures = map[string]failure{
	"silent":    always(nameserver.Silent),
	"SERVFAIL":  always(nameserver.Code(dns.RcodeServerFailure)),
	"REFUSED":   always(nameserver.Code(dns.RcodeRefused)),
	"NXDOMAIN":  always(nameserver.Code(dns.RcodeNameError)), // nothing exists, they say
	"truncated": always(nameserver.Truncated),
	"malformed": always(nameserver.Malformed),
	"outdated":  (*nameserver.Zone).Outdated,
}

func always(f dns.HandlerFunc) failure { return func(*nameserver.Zone) dns.HandlerFunc { return f } }

func working(*nameserver.Zone) dns.HandlerFunc { return nil }

func (r *rotation) fail(f failure) {
	for _, zone := range []*nameserver.Zone{r.dns, r.second} {
		zone.Fail(f(zone))
	}
}

// The whole life of a rotation, with the daemon restarted at each stage.
func TestRotationUnderMail(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]func(t *testing.T) []string{
		"without state": func(*testing.T) []string { return nil },
		"with state":    func(t *testing.T) []string { return []string{"--state=" + stateDir(t)} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startRotation(t, options(t)...)
			next := r.drop("s2")
			r.awaitStages(map[string]string{"s1": "active", "s2": "pending"})
			r.staysWith("s1")
			r.restart()
			r.staysWith("s1")

			r.publish("s2", next, r.dns) // half of the name servers have it
			r.staysWith("s1")
			r.restart()
			r.staysWith("s1")

			published := time.Now()
			r.publish("s2", next, r.second)
			r.awaitSigner("s2")
			r.awaitStages(map[string]string{"s1": "retiring", "s2": "active"})
			t.Logf("from published to five messages signed: %v", time.Since(published))
			r.restart()
			r.awaitSigner("s2")
			r.awaitStages(map[string]string{"s1": "retiring", "s2": "active"})

			r.removeKey(rotated + "/s1.private") // retired
			r.awaitSigner("s2")
			r.withdraw("s1")
			r.restart()
			r.awaitSigner("s2")
			r.end()
		})
	}
}

// A DNS that does not answer, or not well, changes nothing of what signs, at any
// stage; and the rotation goes on when it is back.
func TestRotationWithFailingDNS(t *testing.T) {
	t.Parallel()
	for name, failure := range failures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startRotation(t, "--state="+stateDir(t))
			next := r.drop("s2")
			r.staysWith("s1")
			r.fail(failure)
			r.publish("s2", next, r.dns, r.second)
			r.staysWith("s1")
			r.restart() // what worked before is known from the state
			r.staysWith("s1")
			r.fail(working)
			r.ask()
			r.awaitSigner("s2")
			r.fail(failure)
			r.restart()
			r.awaitSigner("s2")
			r.end()
		})
	}
}

// The record of the active key is taken away by mistake: another one that is
// published signs, and where there is none, the same goes on. Then nobody could
// have known, and the messages in between do not count.
func TestRecordGoesUnderActiveKey(t *testing.T) {
	t.Parallel()
	r := startRotation(t)
	second := r.drop("s2")
	r.publish("s2", second, r.dns, r.second)
	r.awaitSigner("s2")
	r.s.end()
	judged := len(r.sink.All())
	r.withdraw("s2")
	r.ask()
	r.s = r.p.startStream(2, rotated)
	r.awaitSigner("s1")
	r.publish("s2", second, r.dns, r.second)
	r.awaitSigner("s2")
	r.s.end()
	for _, d := range r.sink.All()[judged:] {
		r.mustBeOneOf(d.Data, []signature{rsaSignature(rotated, "s1")}, []signature{rsaSignature(rotated, "s2")})
	}
}

// Two replicas on one key directory go through a rotation, each by itself.
func TestRotationOfReplicas(t *testing.T) {
	t.Parallel()
	r := startRotation(t)
	listen := "inet:" + r.net + ".9:8891"
	replica := r.startDaemon("--listen=" + listen)
	submission := *r.p
	submission.addr = r.net + ".1:588"
	other := submission.startStream(2, rotated)
	other.awaitMore(5)
	next := r.drop("s2")
	r.staysWith("s1")
	r.publish("s2", next, r.dns, r.second)
	replica.signal(syscall.SIGHUP)
	for _, s := range []*stream{r.s, other} {
		await(t, "both replicas to sign with s2", func() bool {
			s.awaitMore(2)
			last := r.sink.Find("Subject: " + s.last().id + "\r\n")
			return len(last) > 0 && slices.Equal(signatures(last[0].Data), []signature{rsaSignature(rotated, "s2")})
		})
	}
	other.end()
	r.end()
}

// A rotation by the companion, from one command to the next, as somebody does it
// who pastes what it prints.
func TestRotateCommand(t *testing.T) {
	t.Parallel()
	r := startRotation(t)
	rotate := func(args ...string) (shown struct {
		Domains []struct {
			Publish []struct{ Selector, Name, Value string }
			Retired []struct{ Name string }
			Keys    []struct{ Selector, Stage string }
		}
	}) {
		t.Helper()
		command := append([]string{"rotate", "--json", "--keys", r.keys, "--resolver", r.nameserver()}, append(args, rotated)...)
		out, err := r.command(lab.Programs()+"/signpost", command...).Output()
		if err != nil {
			t.Fatalf("signpost %v: %v\n%s%s", command, err, out, stderrOf(err))
		}
		if err := json.Unmarshal(out, &shown); err != nil || len(shown.Domains) != 1 {
			t.Fatalf("%v\n%s", err, out)
		}
		return shown
	}
	next := rotate().Domains[0].Publish[0]
	r.awaitStages(map[string]string{"s1": "active", next.Selector: "pending"})
	r.staysWith("s1")
	if again := rotate().Domains[0].Publish; len(again) != 1 || again[0] != next {
		t.Errorf("again it says %v, at first %v", again, next)
	}
	half := len(next.Value) / 2
	for _, ns := range []*nameserver.Zone{r.dns, r.second} {
		ns.Publish(t, next.Name, fmt.Sprintf(`@ IN TXT "%s" "%s"`, next.Value[:half], next.Value[half:]))
	}
	r.ask()
	r.awaitSigner(next.Selector)
	r.awaitStages(map[string]string{"s1": "retiring", next.Selector: "active"})
	if keys := rotate("--status").Domains[0].Keys; len(keys) != 2 || keys[0].Stage != "retiring" || keys[1].Stage != "active" {
		t.Errorf("the companion shows %v", keys)
	}
	retired := rotate("--finish", "--now").Domains[0].Retired
	if len(retired) != 1 || retired[0].Name != "s1._domainkey."+rotated {
		t.Errorf("retired %v", retired)
	}
	r.awaitStages(map[string]string{next.Selector: "active"})
	r.withdraw("s1")
	r.awaitSigner(next.Selector)
	r.end()
}

// stateFile returns the file of the only node in a state directory.
func stateFile(t testing.TB, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "state.*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the state directory has %v, %v", files, err)
	}
	return files[0]
}

// stateDir is a folder that the daemon may write to.
func stateDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(lab.Files(), "state")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chown(dir, daemonUser, daemonUser); err != nil {
		t.Fatal(err)
	}
	return dir
}
