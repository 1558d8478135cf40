package redis

import (
	"slices"
	"testing"
	"time"
)

// Scores come in pairs, or one after the other from a server that speaks RESP2.
func TestScores(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]any{
		"RESP3": []any{[]any{[]byte("a"), 1.0}, []any{[]byte("b"), 1.7e12}},
		"RESP2": []any{[]byte("a"), []byte("1"), []byte("b"), []byte("1700000000000")},
	} {
		members, numbers, err := scores(reply)
		if err != nil || !slices.Equal(members, []string{"a", "b"}) || !slices.Equal(numbers, []int64{1, 1_700_000_000_000}) {
			t.Errorf("%s: %v %v, %v", name, members, numbers, err)
		}
	}
	for _, reply := range []any{nil, "x", []any{[]byte("a")}, []any{[]any{[]byte("a")}}, []any{[]byte("a"), []byte("x")}} {
		if _, _, err := scores(reply); err == nil {
			t.Errorf("%v has scores", reply)
		}
	}
}

// It is the nodes that tell which others have long gone, not the clock of one that is far ahead.
func TestNewestTime(t *testing.T) {
	t.Parallel()
	for want, values := range map[int64][]string{1000: {"1 1 900", "1 1 1000", "what"}, 0: {"1 1"}} {
		var items []any
		for _, value := range values {
			items = append(items, []byte("node"), []byte(value))
		}
		if got := newestTime(items); got != want {
			t.Errorf("%q: %d", values, got)
		}
	}
	if got := newestTime([]any{[]byte("node"), []byte("1 1 4000000000")}); got > time.Now().Unix() {
		t.Errorf("%d is in the future", got)
	}
}
