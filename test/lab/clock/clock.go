// Package clock is for tests of what happens when the clock is set.
package clock

import (
	"testing"
	"time"
	"unsafe"
)

// Set returns a moment as time.Now does after the clock was set on by d, or back: by the
// monotonic clock it is at. It knows how package time keeps the two.
func Set(t testing.TB, at time.Time, d time.Duration) time.Time {
	t.Helper()
	set := at
	if unsafe.Sizeof(set) == unsafe.Sizeof([3]uint64{}) {
		words := (*[3]uint64)(unsafe.Pointer(&set)) // the seconds of the clock begin at bit 30 of the first
		words[0] += uint64(int64(d/time.Second)) << 30
	}
	if set.Sub(at) != 0 || !set.Round(0).Equal(at.Round(0).Add(d)) {
		t.Fatal("package time keeps its two clocks in another way than this test knows")
	}
	return set
}
