package redis_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/backendtest"
	"signpost/keystore/redis/redistest"
)

// The promises of keystore.Backend hold in all layouts.
func TestPromises(t *testing.T) {
	t.Parallel()
	for _, layout := range []string{"mailcow", "rspamd", "rspamd&selectors=names"} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			backendtest.Run(t, func(t *testing.T) func() keystore.Backend {
				url := "redis://" + redistest.Start(t).Addr + "?layout=" + layout
				return func() keystore.Backend { return open(t, url) }
			})
		})
	}
}

// They hold in a Cluster, where the hashes are on different nodes.
func TestPromisesInCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	var stores atomic.Int32
	backendtest.Run(t, func(t *testing.T) func() keystore.Backend {
		n := stores.Add(1)
		url := fmt.Sprintf("%s&prefix=keys%d&selectors=names%d", c.URL(), n, n)
		return func() keystore.Backend { return open(t, url) }
	})
}

// The key that is selected takes its selector and its public half along when it is retired,
// and another one does not. What is retired is kept whole.
func TestRetire(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := open(t, "redis://"+server.Addr+"?layout=mailcow")
	keys := make(map[string]*keystore.Key)
	for _, selector := range []string{"s1", "s2"} {
		block := backendtest.NewPEM(t)
		if _, err := b.Add(t.Context(), "example.org", selector, block, time.Time{}); err != nil {
			t.Fatal(err)
		}
		signer, err := keystore.ParsePrivate(block)
		if err != nil {
			t.Fatal(err)
		}
		keys[selector] = &keystore.Key{Domain: "example.org", Selector: selector, Signer: signer}
	}
	for _, test := range []struct{ retire, selected string }{{"s2", "s1"}, {"s1", ""}} {
		value := server.Do(t, "HGET", "DKIM_PRIV_KEYS", test.retire+".example.org")
		place, err := b.Retire(t.Context(), keys[test.retire])
		if err != nil {
			t.Fatal(err)
		}
		if want := "redis://" + server.Addr + "/0: signpost:retired " + test.retire + ".example.org"; place != want {
			t.Errorf("the place is %q, want %q", place, want)
		}
		if got := server.Do(t, "HGET", "signpost:retired", test.retire+".example.org"); got != value || value == "" {
			t.Errorf("%s: kept is %q, and it was %q", test.retire, got, value)
		}
		if got := server.Do(t, "HGET", "DKIM_SELECTORS", "example.org"); got != test.selected {
			t.Errorf("%s: selected is %q, want %q", test.retire, got, test.selected)
		}
		if got := server.Do(t, "HEXISTS", "DKIM_PUB_KEYS", "example.org"); (got == "1") != (test.selected != "") {
			t.Errorf("%s: public halves: %s", test.retire, got)
		}
	}
}

// Where Retire fails half-way, no selector is left that names a key that is gone, and it can be
// done again.
func TestRetireAgain(t *testing.T) {
	t.Parallel()
	one := redistest.Start(t)
	several := redistest.StartCluster(t)
	for name, test := range map[string]struct {
		url   string
		nodes []*redistest.Server
	}{
		"one server": {"redis://USER" + one.Addr + "?", []*redistest.Server{one}},
		"a Cluster":  {strings.Replace(several.URL(), "//", "//USER", 1) + "&", several.Nodes},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := test.url + "layout=mailcow"
			admin := open(t, strings.Replace(url, "USER", "", 1))
			limited := open(t, strings.Replace(url, "USER", "limited:pass@", 1))
			for _, node := range test.nodes {
				node.Do(t, "ACL", "SETUSER", "limited", "on", ">pass", "+@all", "~DKIM_P*", "%R~*", "~signpost:*")
			}
			block := backendtest.NewPEM(t)
			if _, err := admin.Add(t.Context(), "example.org", "s1", block, time.Time{}); err != nil {
				t.Fatal(err)
			}
			signer, err := keystore.ParsePrivate(block)
			if err != nil {
				t.Fatal(err)
			}
			key := &keystore.Key{Domain: "example.org", Selector: "s1", Signer: signer}
			if _, err := limited.Retire(t.Context(), key); err == nil {
				t.Error("retired without the right to write selectors")
			}
			if got := read(t, admin, "example.org"); len(got) != 1 {
				t.Errorf("after that there are %d keys", len(got))
			}
			if _, err := admin.Retire(t.Context(), key); err != nil {
				t.Error(err)
			}
			// Only a domain without selector gets that of its first key.
			if _, err := admin.Add(t.Context(), "example.org", "s2", backendtest.NewPEM(t), time.Time{}); err != nil {
				t.Fatal(err)
			}
			selected := test.nodes[0]
			if len(test.nodes) > 1 {
				selected, _ = several.Node(t, "DKIM_SELECTORS")
			}
			if got := selected.Do(t, "HGET", "DKIM_SELECTORS", "example.org"); got != "s2" {
				t.Errorf("selected is %q", got)
			}
		})
	}
}

// A selector with dots is one only where it is selected.
func TestDots(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := open(t, "redis://"+server.Addr+"?layout=mailcow")
	if _, err := b.Add(t.Context(), "example.org", "a.b", backendtest.NewPEM(t), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, b, "example.org"); len(got) != 1 {
		t.Errorf("read %q", got)
	}
	if _, err := b.Add(t.Context(), "example.org", "c.d", backendtest.NewPEM(t), time.Time{}); err == nil {
		t.Error("a second selector with dots is accepted")
	}
}
