package vault

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/vault/vaulttest"
)

// Where the server does not say what is mounted, the version of KV is that of the URL, or
// the one that answers as only it does. Else it is an error.
func TestVersions(t *testing.T) {
	t.Parallel()
	all := []string{"create", "read", "update", "delete", "list"}
	for _, test := range []struct {
		kv     int
		empty  bool
		policy vaulttest.Policy
		query  string
		hide   bool   // what is mounted
		err    string // "" for none
	}{
		{kv: 1, policy: vaulttest.Policy{"secret/*": all}},
		{kv: 2, policy: vaulttest.Policy{"secret/*": all}},
		{kv: 2, policy: vaulttest.Policy{"secret/*": all}, empty: true},
		{kv: 1, policy: vaulttest.Policy{"secret/*": all}, query: "?kv=2", err: "version 1, not 2"},
		{kv: 2, policy: vaulttest.Policy{"secret/*": all}, query: "?kv=1", err: "version 2, not 1"},
		{kv: 2, policy: vaulttest.Policy{"secret/*": all}, query: "?mount=secret/dkim", err: "the mount is secret"},
		{kv: 1, policy: vaulttest.Policy{"secret/*": all}, hide: true},
		{kv: 2, policy: vaulttest.Policy{"secret/*": all}, hide: true},
		{kv: 2, policy: vaulttest.Policy{"secret/*": all}, hide: true, empty: true},
		{kv: 1, policy: vaulttest.Policy{"secret/*": all}, hide: true, empty: true, err: "not known"},
		{kv: 1, policy: vaulttest.Policy{"secret/*": all}, hide: true, empty: true, query: "?kv=1"},
		{kv: 1, policy: vaulttest.Policy{"secret/dkim": {"list"}, "secret/dkim/*": {"read"}}, hide: true},
		{kv: 2, policy: reader, hide: true},
		{kv: 2, policy: reader, hide: true, query: "?kv=2&mount=secret"},
		{kv: 2, policy: vaulttest.Policy{"other/*": all}, hide: true, err: "not known"},
		{kv: 2, policy: vaulttest.Policy{"other/*": all}, err: "not known"},
	} {
		name := fmt.Sprintf("%+v", test)
		s := vaulttest.Start(t)
		s.Mount("secret", test.kv)
		s.Token(secretToken, test.policy, vaulttest.Lease{})
		s.Set(vaulttest.Faults{NoMounts: test.hide})
		if !test.empty {
			s.Put("secret/dkim/example.org", selectors(fields{"selector": "s", "key": base64Of(edKey(0))}))
		}
		b := open(t, "vault:"+s.URL+"/secret/dkim"+test.query, map[string]string{"VAULT_TOKEN": secretToken})
		err := mayList(t.Context(), b)
		switch {
		case test.err == "" && err != nil:
			t.Errorf("%s: %s", name, finding.Text(err))
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
			t.Errorf("%s: %v", name, err)
		case err == nil && !test.empty && len(read(t, b, "example.org")) != 1:
			t.Errorf("%s: no key", name)
		}
	}
}

// A mount that becomes another version while it is in use is found out.
func TestMountChanges(t *testing.T) {
	t.Parallel()
	old, now := vaulttest.New(), vaulttest.New()
	old.Mount("secret", 1)
	now.Mount("secret", 2)
	front := vaulttest.Start(t)
	for _, s := range []*vaulttest.Server{old, now} {
		s.Put("secret/dkim/example.org", selectors(fields{"selector": "s", "key": base64Of(edKey(0))}))
	}
	front.Replace(old)
	b := onServer(t, front, "secret/dkim")
	if got := read(t, b, "example.org"); len(got) != 1 {
		t.Fatalf("read %v", got)
	}
	front.Replace(now)
	if _, err := b.Read(t.Context(), []string{"example.org"}); err == nil {
		t.Error("the other version is no error")
	}
	if got := read(t, b, "example.org"); len(got) != 1 {
		t.Errorf("read %v", got)
	}
}

// The policies of the README suffice, and the one for signpostd cannot write.
func TestPoliciesOfReadme(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```hcl\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d policies in the README", len(blocks))
	}
	for _, kv := range []int{1, 2} {
		daemon, companion := parsePolicy(t, blocks[0][1], kv), parsePolicy(t, blocks[1][1], kv)
		if kv == 1 { // as it says
			companion["secret/dkim/*"] = append(companion["secret/dkim/*"], "delete")
		}
		s := vaulttest.Start(t)
		s.Mount("secret", kv)
		s.Token("hvs.daemon", daemon, vaulttest.Lease{})
		s.Token("hvs.companion", companion, vaulttest.Lease{})
		for _, layout := range []string{"", "?layout=kumomta"} {
			url := "vault:" + s.URL + "/secret/dkim" + layout
			b := open(t, url, map[string]string{"VAULT_TOKEN": "hvs.companion"})
			place, err := b.Add(t.Context(), "example.org", "s", pemOf(edKey(0)), time.Now())
			if err != nil {
				t.Fatal(finding.Text(err))
			}
			signpostd := open(t, url, map[string]string{"VAULT_TOKEN": "hvs.daemon"})
			if got := list(t, signpostd); len(got) != 1 {
				t.Errorf("listed %q", got)
			}
			if got := read(t, signpostd, "example.org"); len(got) != 1 {
				t.Errorf("read %v", got)
			}
			if _, _, err := signpostd.Notes(t.Context(), "example.org"); err != nil {
				t.Error(finding.Text(err))
			}
			if _, err := signpostd.Add(t.Context(), "example.org", "t", pemOf(edKey(1)), time.Now()); statusOf(err) != 403 {
				t.Errorf("signpostd may write: %v", err)
			}
			_, none, err := b.Notes(t.Context(), "example.org")
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range []func() error{
				func() error { return b.WriteNotes(t.Context(), "example.org", []byte(layout+"x"), none) },
				func() error { return b.Select(t.Context(), "example.org", "s") },
				func() error {
					key := &keystore.Key{Domain: "example.org", Selector: "s", Signer: edKey(0), File: place}
					_, err := b.Retire(t.Context(), key)
					return err
				},
			} {
				if err := step(); err != nil {
					t.Errorf("kv %d %s: %s", kv, layout, finding.Text(err))
				}
			}
		}
	}
}

func parsePolicy(t *testing.T, hcl string, kv int) vaulttest.Policy {
	policy, found := vaulttest.Policy{}, 0
	for _, match := range regexp.MustCompile(`path "([^"]+)" *\{ *capabilities = \[([^\]]*)\] *\}`).FindAllStringSubmatch(hcl, -1) {
		found++
		path := match[1]
		if kv == 1 {
			path = strings.NewReplacer("/data/", "/", "/metadata/", "/").Replace(path)
		}
		for capability := range strings.SplitSeq(match[2], ",") {
			policy[path] = append(policy[path], strings.Trim(capability, ` "`))
		}
	}
	if n := strings.Count(hcl, "path "); n == 0 || found != n {
		t.Fatalf("%d paths in %s", n, hcl)
	}
	return policy
}
