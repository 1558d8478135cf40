package redis_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"signpost/keystore/redis"
	"signpost/keystore/redis/redistest"
	"signpost/keystore/rotation"
)

// Nodes that use one store find what the others wrote: each finding once, those of a node
// that starts later too, and they live while they write.
func TestFindings(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	node := func(name string) *redis.Findings { return open(t, "redis://"+server.Addr).Findings(name) }
	finding := func(i, at int) rotation.Finding {
		f, err := rotation.ParseFinding(fmt.Sprintf("found d%05d.example s1 %032x %d 0 0", i, i, at))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	several := func(n, at int) (all []rotation.Finding) {
		for i := range n {
			all = append(all, finding(i, at))
		}
		return all
	}
	publish := func(f *redis.Findings, news []rotation.Finding) {
		t.Helper()
		if err := f.Publish(t.Context(), news); err != nil {
			t.Fatal(err)
		}
	}
	fetch := func(f *redis.Findings, want int, alive ...string) (all []rotation.Finding) {
		t.Helper()
		nodes, err := f.Fetch(t.Context(), func(some []rotation.Finding) { all = append(all, some...) })
		if slices.Sort(nodes); err != nil || !slices.Equal(nodes, alive) || len(all) != want {
			t.Errorf("%d findings of %v, %v; want %d of %v", len(all), nodes, err, want, alive)
		}
		return all
	}
	const many = 5200 // more than two reads
	a, b := node("a"), node("b")
	publish(a, several(many, 1))
	publish(b, nil)
	got := fetch(b, many)
	slices.SortFunc(got, func(x, y rotation.Finding) int { return slices.Compare([]byte(x.Domain), []byte(y.Domain)) })
	if !slices.Equal(got, several(many, 1)) {
		t.Error("what was found is not what was published")
	}
	fetch(a, 0)
	fetch(b, 0) // nothing new, and it did not beat
	publish(a, several(3, 2))
	publish(b, []rotation.Finding{finding(9, 3)})
	if got := fetch(b, 3, "a"); !slices.Equal(got, several(3, 2)) {
		t.Errorf("%v", got)
	}
	fetch(a, 1, "b")

	// The node starts again, and the other one misses nothing.
	again := node("a")
	publish(again, []rotation.Finding{finding(4, 5)})
	fetch(b, 1, "a")
	fetch(again, 1)
	late := node("late")
	fetch(late, many+1)

	// What is none of ours in the hashes harms nobody.
	server.Do(t, "HSET", "{signpost}:nodes", "x y", "1 1 1", "odd", "what", "old", "1 1 1")
	server.Do(t, "HSET", "{signpost}:found:b", finding(9, 3).Key(), "what")
	server.Do(t, "ZADD", "{signpost}:recent:b", "99999999999999", finding(9, 3).Key())
	publish(b, []rotation.Finding{finding(8, 3)})
	fetch(late, 1, "b")
	if server.Do(t, "HEXISTS", "{signpost}:nodes", "old") != "0" {
		t.Error("a node of long ago is kept")
	}

	server.Kill()
	if _, err := late.Fetch(t.Context(), func([]rotation.Finding) {}); err == nil {
		t.Error("no error without a server")
	}
	if err := late.Publish(context.Background(), nil); err == nil {
		t.Error("no error without a server")
	}
}
