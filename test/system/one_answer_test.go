package system

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// An answer is what a program says of one domain: the stage of each key by its
// selector, where it tells that, and the selectors that sign.
type answer struct {
	stages map[string]string
	signs  []string
}

// answers are those of one program, by domain.
type answers map[string]answer

// TestOneAnswer makes fifty domains, with keys of all kinds and ages, in all
// layouts, published or not, and asks each program under each setting which keys
// sign: signpostd by the mail that it signs and by its status page, the companion
// by every verb that says so. There is one answer.
func TestOneAnswer(t *testing.T) {
	t.Parallel()
	for name, setting := range map[string]struct {
		env    string
		noDNS  bool // signpostd does not ask the DNS, so that it knows no stages
		keysOf bool // without asking the DNS keys knows who signs
	}{
		"default":         {env: "SIGNPOST_DNS_CHECK=on"},
		"warn":            {env: "SIGNPOST_DNS_CHECK=warn", keysOf: true},
		"off":             {env: "SIGNPOST_DNS_CHECK=off", keysOf: true, noDNS: true},
		"least size":      {env: "SIGNPOST_MIN_KEY_BITS=2048"},
		"safe keys":       {env: "OPENDKIM_RequireSafeKeys=yes"},
		"a flat selector": {env: "DKIM_SELECTOR=flat"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			domains := w.makeDomains(50)
			w.startDaemon(setting.env, "--http="+w.net+".8:8892", "--dns-rate=1000")
			w.awaitChecked(!setting.noDNS)
			p := w.startPostfix(w.milterAddr(), "smtpd_peername_lookup = no")

			daemon := []string{"--daemon", w.net + ".8:8892"}
			resolver := []string{"--keys", w.keys, "--resolver", w.nameserver(), "--timeout", "10s"}
			messages := w.writeMessages(domains)
			ask := func(args ...[]string) []byte { return w.ask(setting.env, slices.Concat(args...)...) }

			want := w.statusPage()
			w.mustCount(want)
			all := map[string]answers{
				"mail through Postfix":     w.signed(p, domains),
				"keys --dns":               keysAnswers(t, ask([]string{"keys", "--json", "--dns"}, resolver)),
				"keys --daemon":            keysAnswers(t, ask([]string{"keys", "--json"}, daemon)),
				"rotate --status":          rotateAnswers(t, ask([]string{"rotate", "--json", "--status", "--all"}, resolver)),
				"rotate --status --daemon": rotateAnswers(t, ask([]string{"rotate", "--json", "--status", "--all"}, daemon)),
				"explain":                  explainAnswers(t, ask([]string{"explain", "--json"}, resolver, messages)),
				"explain --daemon":         explainAnswers(t, ask([]string{"explain", "--json"}, resolver, daemon, messages)),
				"check":                    checkAnswers(t, ask([]string{"check", "--json"}, resolver, domains)),
				"check --daemon":           checkAnswers(t, ask([]string{"check", "--json"}, resolver, daemon, domains)),
			}
			for program, got := range all {
				for _, domain := range domains {
					if got[domain].signs == nil && len(want[domain].signs) > 0 && !strings.HasPrefix(program, "check") {
						t.Errorf("%s says nothing of %s", program, domain)
					}
					mustAgree(t, program, domain, got[domain], want[domain], !setting.noDNS || strings.Contains(program, "daemon"))
				}
			}
			known := 0
			for domain, got := range keysAnswers(t, ask([]string{"keys", "--json", "--keys", w.keys})) {
				if got.signs == nil {
					continue // it says that it does not know
				}
				known++
				mustAgree(t, "keys", domain, answer{signs: got.signs}, want[domain], false)
			}
			if setting.keysOf && known != len(want) || known < 10 {
				t.Errorf("keys knows who signs for %d of %d domains", known, len(want))
			}
		})
	}
}

// mustAgree asserts that a program says of a domain what the daemon's page does.
func mustAgree(t *testing.T, program, domain string, got, want answer, stages bool) {
	t.Helper()
	slices.Sort(got.signs)
	slices.Sort(want.signs)
	if got.signs != nil && !slices.Equal(got.signs, want.signs) {
		t.Errorf("%s: %s says that %q sign, the status page %q (%v)", domain, program, got.signs, want.signs, want.stages)
	}
	for selector, stage := range got.stages {
		if stages && want.stages[selector] != stage {
			t.Errorf("%s: %s says that %s is %s, the status page %v", domain, program, selector, stage, want.stages)
		}
	}
}

// makeDomains makes domains with one to four keys each, and their zone.
func (w *world) makeDomains(n int) (domains []string) {
	w.t.Helper()
	random := rand.New(rand.NewPCG(11, 50))
	pool := map[string][]key{}
	for range 4 {
		for _, kind := range []string{"rsa", "ed25519", "weak"} {
			pool[kind] = append(pool[kind], newKey(w.t, kind))
		}
	}
	zone := fmt.Sprintf("@ IN SOA ns1 root 1 7200 900 1209600 60\n@ IN NS ns1\nns1 IN A %s.53\n", w.net)
	w.dns.Publish(w.t, "answer.example", zone)
	for i := range n {
		domain := fmt.Sprintf("d%02d.answer.example", i)
		domains = append(domains, domain)
		for number, k := range random.Perm(4)[:1+random.IntN(4)] {
			kind := []string{"rsa", "rsa", "ed25519", "weak"}[random.IntN(4)]
			k := pool[kind][k]
			selector := fmt.Sprintf("s%d", number+1)
			file := domain + "/" + selector + ".private"
			switch {
			case number == 0 && random.IntN(3) == 0:
				file, selector = domain+".private", "mail"
			case number == 1 && random.IntN(3) == 0:
				file = domain + "." + selector + ".key"
			}
			w.dropKey(file, k)
			path := filepath.Join(w.keys, file)
			at := time.Now().Add(-time.Duration(random.IntN(5)) * 24 * time.Hour).Truncate(24 * time.Hour)
			mode := []os.FileMode{0o400, 0o440}[random.IntN(2)]
			if err := errors.Join(os.Chtimes(path, at, at), os.Chown(path, daemonUser, daemonUser), os.Chmod(path, mode)); err != nil {
				w.t.Fatal(err)
			}
			for _, selector := range []string{selector, map[string]string{"mail": "flat"}[selector]} {
				name := selector + "._domainkey." + domain
				switch random.IntN(5) {
				case 0, 1, 2:
					if selector != "" {
						w.dns.PublishTXT(name, k.text)
					}
				case 3: // of another key
					if selector != "" {
						w.dns.PublishTXT(name, pool["rsa"][(number+1)%4].text)
					}
				}
			}
		}
	}
	return domains
}

// pageView is /status.json of the daemon.
type pageView struct {
	Domains []struct {
		Domain string
		Keys   []struct {
			Selector, Stage string
			Checked         time.Time
		}
	}
}

func (w *world) page() (view pageView) {
	w.t.Helper()
	response, err := http.Get("http://" + w.net + ".8:8892/status.json?limit=1000")
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(text, &view)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return view
}

// awaitChecked waits until the daemon has asked the DNS about every key.
func (w *world) awaitChecked(asks bool) {
	w.t.Helper()
	await(w.t, "the DNS to be asked about all keys", func() bool {
		for _, d := range w.page().Domains {
			for _, key := range d.Keys {
				if asks && key.Checked.IsZero() && key.Stage != "broken" {
					return false
				}
			}
		}
		return true
	})
}

func (w *world) statusPage() answers {
	all := make(answers)
	for _, d := range w.page().Domains {
		a := answer{stages: make(map[string]string), signs: []string{}}
		for _, key := range d.Keys {
			if key.Stage == "broken" {
				continue
			}
			a.stages[key.Selector] = key.Stage
			if key.Stage == "active" {
				a.signs = append(a.signs, key.Selector)
			}
		}
		all[d.Domain] = a
	}
	return all
}

// mustCount asserts that the metrics count the stages that the page shows.
func (w *world) mustCount(want answers) {
	w.t.Helper()
	response, err := http.Get("http://" + w.net + ".8:8892/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	count := make(map[string]int)
	for _, a := range want {
		for _, stage := range a.stages {
			count[stage]++
		}
	}
	for _, stage := range []string{"pending", "published", "active", "retiring", "retired"} {
		if line := fmt.Sprintf("signpost_keys{stage=%q} %d\n", stage, count[stage]); !strings.Contains(string(text), line) {
			w.t.Errorf("no %q in the metrics", line)
		}
	}
}

func (w *world) writeMessages(domains []string) (files []string) {
	for _, domain := range domains {
		files = append(files, w.write(domain+".eml", string(letter("a@"+domain, domain))))
	}
	return files
}

// signed sends a message of each domain, and returns who signed what arrived. What
// cannot be signed for want of a usable key is deferred.
func (w *world) signed(p *postfix, domains []string) answers {
	w.t.Helper()
	all := make(answers)
	var accepted []string
	for _, domain := range domains {
		_, err := p.submit("a@"+domain, []string{"b@rcpt.test"}, letter("a@"+domain, domain))
		if err == nil {
			accepted = append(accepted, domain)
		} else if strings.Contains(err.Error(), "451") {
			all[domain] = answer{signs: []string{}}
		} else {
			w.t.Fatalf("%s: %v", domain, err)
		}
	}
	for _, domain := range accepted {
		a := answer{signs: []string{}}
		for _, s := range signatures(w.awaitDelivery(domain)) {
			a.signs = append(a.signs, s.selector)
		}
		all[domain] = a
	}
	return all
}

// ask runs the companion with a setting of the daemon. What it finds may make its
// exit code 1.
func (w *world) ask(env string, args ...string) []byte {
	w.t.Helper()
	cmd := w.companion(args...)
	cmd.Env = append(os.Environ(), env)
	out, err := cmd.Output()
	exit := new(exec.ExitError)
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
		w.t.Fatalf("signpost %s: %v\n%s", strings.Join(args, " "), err, exit.Stderr)
	}
	return out
}

func parseJSON[T any](t *testing.T, text []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in %.300s", err, text)
	}
	return v
}

func keysAnswers(t *testing.T, text []byte) answers {
	t.Helper()
	all := make(answers)
	for _, key := range parseJSON[struct {
		Keys []struct {
			Domain, Selector, Stage string
			Signs                   *bool
		}
	}](t, text).Keys {
		a, there := all[key.Domain]
		if !there {
			a = answer{stages: make(map[string]string), signs: []string{}}
		}
		if key.Stage != "" {
			a.stages[key.Selector] = key.Stage
		}
		switch {
		case key.Signs == nil:
			a.signs = nil
		case *key.Signs:
			a.signs = append(a.signs, key.Selector)
		}
		all[key.Domain] = a
	}
	return all
}

func rotateAnswers(t *testing.T, text []byte) answers {
	t.Helper()
	all := make(answers)
	for _, d := range parseJSON[struct {
		Domains []struct {
			Domain string
			Keys   []struct{ Selector, Stage string }
		}
	}](t, text).Domains {
		a := answer{stages: make(map[string]string), signs: []string{}}
		for _, key := range d.Keys {
			a.stages[key.Selector] = key.Stage
			if key.Stage == "active" {
				a.signs = append(a.signs, key.Selector)
			}
		}
		all[d.Domain] = a
	}
	return all
}

func explainAnswers(t *testing.T, text []byte) answers {
	t.Helper()
	all := make(answers)
	for _, m := range parseJSON[struct {
		Messages []struct {
			Author     string `json:"author_domain"`
			Signatures []struct{ Selector string }
			Keys       []struct{ Selector, Stage string }
		}
	}](t, text).Messages {
		a := answer{stages: make(map[string]string), signs: []string{}}
		for _, s := range m.Signatures {
			a.signs = append(a.signs, s.Selector)
		}
		for _, key := range m.Keys {
			a.stages[key.Selector] = key.Stage
		}
		all[m.Author] = a
	}
	return all
}

// checkAnswers reads what check says of the keys whose records are as they should be.
func checkAnswers(t *testing.T, text []byte) answers {
	t.Helper()
	all := make(answers)
	for _, d := range parseJSON[struct {
		Domains []struct {
			Domain string
			Good   []struct{ Name, What string }
		}
	}](t, text).Domains {
		a := answer{stages: make(map[string]string)}
		for _, good := range d.Good {
			selector, _, isKey := strings.Cut(good.Name, "._domainkey.")
			if _, what, found := strings.Cut(good.What, "), and "); isKey && found {
				a.stages[selector], _, _ = strings.Cut(what, ":")
			}
		}
		all[d.Domain] = a
	}
	told := 0
	for _, a := range all {
		told += len(a.stages)
	}
	if told < 20 {
		t.Errorf("check tells the stages of %d keys", told)
	}
	return all
}
