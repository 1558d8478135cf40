package rotation

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"signpost/keystore/dns"
)

// In whatever order nodes hear of findings, and however often, they come to the same.
func TestMergeOfFindings(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	some := func() Finding {
		moment := func() Moment { return Moment(random.IntN(4)) } // few, so that many are equal
		return Finding{Cached: moment(), Proven: moment(), Lacking: moment()}
	}
	for range 10_000 {
		a, b, c := some(), some(), some()
		if a.merge(b) != b.merge(a) {
			t.Fatalf("%v and %v: the order counts", a, b)
		}
		if a.merge(a) != a || a.merge(b).merge(b) != a.merge(b) {
			t.Fatalf("%v and %v: twice is not once", a, b)
		}
		if a.merge(b).merge(c) != a.merge(b.merge(c)) {
			t.Fatalf("%v, %v and %v: the grouping counts", a, b, c)
		}
		_, first := a.presence()
		_, second := b.presence()
		later := a
		if second > first {
			later = b
		}
		if got, _ := a.merge(b).presence(); first != second && !saysLater(got, later) {
			t.Fatalf("%v and %v: the later clear answer does not count", a, b)
		}
	}
}

func saysLater(got dns.Presence, later Finding) bool {
	want, _ := later.presence()
	return got == want
}

// What another node found counts as if it had been found here, and never more.
func TestFindingsOfOthers(t *testing.T) {
	t.Parallel()
	there := Mark{Presence: dns.There, Asked: 100, Proven: 100}
	missing := Mark{Presence: dns.Missing, Asked: 100, Lacking: 100}
	for name, test := range map[string]struct {
		mark  Mark
		found Finding
		signs bool
		want  dns.Presence
		asked Moment
		verdict
	}{
		"all name servers have it":                   {Mark{}, Finding{Proven: 90}, false, dns.There, 90, taken},
		"none has it":                                {Mark{}, Finding{Lacking: 90}, false, dns.Missing, 90, taken},
		"a cache has it, and it waits":               {Mark{}, Finding{Cached: 90}, false, dns.Unknown, 0, doubted},
		"a cache has it, and it signs":               {Mark{}, Finding{Cached: 90}, true, dns.There, 90, taken},
		"a cache has it, all had it before":          {Mark{}, Finding{Cached: 90, Proven: 50}, false, dns.There, 90, taken},
		"a cache has it, none did after all had it":  {Mark{}, Finding{Cached: 90, Proven: 50, Lacking: 60}, false, dns.Unknown, 0, doubted},
		"a cache has it after none had it":           {missing, Finding{Cached: 110}, false, dns.Missing, 100, doubted},
		"nothing":                                    {there, Finding{}, false, dns.There, 100, known},
		"older, missing":                             {there, Finding{Lacking: 99}, false, dns.There, 100, known},
		"older, missing, of the key that signs":      {there, Finding{Lacking: 99}, true, dns.There, 100, known},
		"the same second, missing":                   {there, Finding{Lacking: 100}, false, dns.There, 100, known},
		"older, there":                               {missing, Finding{Proven: 99}, false, dns.Missing, 100, known},
		"newer, there":                               {missing, Finding{Proven: 101}, false, dns.There, 101, taken},
		"newer, there, by a cache":                   {there, Finding{Cached: 200}, false, dns.There, 200, known},
		"newer, missing: it is asked for here first": {there, Finding{Lacking: 101}, false, dns.There, 100, doubted},
	} {
		got, v := test.mark.take(test.found, test.signs, false)
		if got.Presence != test.want || got.Asked != test.asked || v != test.verdict {
			t.Errorf("%s: %v at %d, verdict %d; want %v at %d, %d", name, got.Presence, got.Asked, v, test.want, test.asked, test.verdict)
		}
	}
	if got, v := there.take(Finding{Lacking: 101}, false, true); got.Presence != dns.Missing || v != taken {
		t.Errorf("newer, missing, and the DNS does not answer here: %v, verdict %d", got.Presence, v)
	}
	for ahead, believed := range map[Moment]bool{0: true, maxSkew: true, maxSkew + 1: false} {
		if f, ok := (Finding{Lacking: 1000 + ahead}).bounded(1000); ok != believed || f.Lacking != 1000 {
			t.Errorf("%d seconds ahead: believed %t, bounded to %d", ahead, ok, f.Lacking)
		}
	}
}

// What is answered here is later than all that is known, whatever clock that was by.
func TestOwnAnswersAreTheLatest(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	var m Mark
	now := Moment(1_800_000_000)
	for range 1000 {
		presence := dns.Presence(1 + random.IntN(2))
		now += Moment(random.IntN(3)) - 1
		m = m.answered(presence, presence == dns.Missing || random.IntN(2) == 0, now.Time())
		f := m.onto(Finding{})
		if got, at := f.presence(); got != presence || at != now || m.Presence != presence {
			t.Fatalf("answered %v at %d; the mark has %v, the finding %v at %d", presence, now, m.Presence, got, at)
		}
	}
}

func TestFindingsAsText(t *testing.T) {
	t.Parallel()
	want := []Finding{
		{Domain: "a.example", Selector: "s1", print: fingerprint{1, 2}, Cached: 3, Proven: 2, Lacking: 1},
		{Domain: "b.example", Selector: "s2", print: fingerprint{0xff}, Lacking: 1<<32 - 1},
	}
	text := findingsHeader + " n1 place\n" + want[0].String() + "\n" + want[1].String() + "\n"
	var got []Finding
	node, place, err := ReadFindings(strings.NewReader(text+findingsEnd+"\n"), func(f []Finding) { got = append(got, f...) })
	if err != nil || node != "n1" || place != "place" || !slices.Equal(got, want) {
		t.Errorf("%q, %q, %v, %v", node, place, got, err)
	}
	if _, place, err = ReadFindings(strings.NewReader(text), func([]Finding) {}); err == nil || place != "" {
		t.Errorf("cut off: place %q, %v", place, err)
	}
}

func FuzzFindings(f *testing.F) {
	f.Add([]byte(findingsHeader + " n1 x.1\nfound a.example s1 000102030405060708090a0b0c0d0e0f 1 2 3\nend\n"))
	f.Add([]byte(findingsHeader + " n1\nfound a b 00 1 2 3\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var all []Finding
		node, place, err := ReadFindings(bytes.NewReader(data), func(f []Finding) { all = append(all, f...) })
		if err == nil && node == "" || err != nil && place != "" {
			t.Errorf("node %q, place %q, %v", node, place, err)
		}
		for _, one := range all {
			if again, err := ParseFinding(one.String()); err != nil || again != one {
				t.Errorf("%v is read as %v, %v", one, again, err)
			}
		}
	})
}

// Each node asks about its part, and only what was asked by one that has gone changes hands.
func TestDivision(t *testing.T) {
	t.Parallel()
	const n = 20_000
	nodes := []string{"mail-0", "mail-1", "mail-2", "mail-3"}
	count, moved := make(map[string]int), make(map[string]int)
	for i := range n {
		domain := fmt.Sprintf("d%06d.example", i)
		before, after := owner(domain, nodes), owner(domain, nodes[:3])
		count[before]++
		if before != after {
			moved[before]++
			count["to "+after]++
		}
		if backwards := slices.Clone(nodes); i%100 == 0 {
			slices.Reverse(backwards)
			if got := owner(domain, backwards); got != before {
				t.Fatalf("%s is asked about by %s or %s, by the order of the nodes", domain, before, got)
			}
		}
	}
	for _, node := range nodes {
		if c := count[node]; c < n/4*8/10 || c > n/4*12/10 {
			t.Errorf("%s asks about %d of %d", node, c, n)
		}
		if left := node == nodes[3]; left != (moved[node] > 0) || left && moved[node] != count[node] {
			t.Errorf("of %s %d of %d changed hands", node, moved[node], count[node])
		}
	}
	for _, node := range nodes[:3] {
		if c := count["to "+node]; c < n/12*8/10 || c > n/12*12/10 {
			t.Errorf("%s took over %d of %d", node, c, count[nodes[3]])
		}
	}
}

func TestNamesOfNodes(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a b", "a/b", "ä", strings.Repeat("a", maxNode+1), "\n"} {
		if name, err := ParseNode(text); err == nil {
			t.Errorf("%q is %q", text, name)
		}
	}
	if name, err := ParseNode(""); err != nil || !validNode(name) {
		t.Errorf("the name of the host is %q, %v", name, err)
	}
}
