package keystore

import (
	"testing"
	"time"

	"signpost/test/lab/clock"
)

// A message that waited in vain before the clock was set back keeps none from waiting after it.
func TestClockSetBackAfterWaiting(t *testing.T) {
	t.Parallel()
	ahead, ok := clock.Set(time.Now().Add(-calmAfter), 24*time.Hour)
	if !ok {
		t.Skip("package time is another")
	}
	r := new(Remote)
	if r.waited(ahead); !r.calm() {
		t.Error("nobody waits for a store for a day")
	}
	if r.waited(time.Now().Add(time.Hour)); r.calm() {
		t.Error("all wait, though one has just waited in vain")
	}
}
