package redis

import (
	"testing"
	"time"
)

// A few comparisons are made at once, and over hours they take no more than their share.
func TestAllowance(t *testing.T) {
	t.Parallel()
	const took = 1400 * time.Millisecond // of a hundred thousand keys
	var a allowance
	start := time.Unix(1e9, 0)
	now, atOnce, times := start, 0, 0
	for ; now.Sub(start) < 10*time.Hour; times++ {
		if wait := a.wait(now); wait > 0 {
			now = now.Add(wait)
		} else if times == atOnce {
			atOnce++
		}
		now = now.Add(took)
		a.spend(now, took)
	}
	if atOnce < 3 || atOnce > 6 {
		t.Errorf("%d are made at once", atOnce)
	}
	if most := int(10*time.Hour/(share*took)) + 6; times > most {
		t.Errorf("%d in ten hours, want %d at most", times, most)
	}
}
