// Package clock is for tests of what happens when the clock is set.
package clock

import (
	"time"
	"unsafe"
)

// Set returns a moment as time.Now does after the clock was set on by d, or back: by the
// monotonic clock it is t. It reports false where package time keeps the two otherwise.
func Set(t time.Time, d time.Duration) (time.Time, bool) {
	if unsafe.Sizeof(t) != unsafe.Sizeof([3]uint64{}) {
		return t, false
	}
	set := t
	words := (*[3]uint64)(unsafe.Pointer(&set)) // the seconds of the clock begin at bit 30 of the first
	words[0] += uint64(int64(d/time.Second)) << 30
	return set, set.Sub(t) == 0 && set.Round(0).Equal(t.Round(0).Add(d))
}
