package keystore

import (
	"context"
	"testing"
	"time"

	"signpost/test/lab/clock"
)

// A message that waited in vain before the clock was set back keeps none from waiting after it.
func TestClockSetBackAfterWaiting(t *testing.T) {
	t.Parallel()
	ahead := clock.Set(t, time.Now().Add(-calmAfter), 24*time.Hour)
	r := new(Remote)
	if r.waited(ahead); !r.calm() {
		t.Error("nobody waits for a store for a day")
	}
	if r.waited(time.Now().Add(time.Hour)); r.calm() {
		t.Error("all wait, though one has just waited in vain")
	}
}

// Reading in the background goes on after a message that came before the clock was set back.
func TestClockSetBackWhileReading(t *testing.T) {
	t.Parallel()
	ahead := clock.Set(t, time.Now(), 24*time.Hour)
	p := new(picture)
	p.first.Store(&ahead)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if p.giveWay(ctx, 0); ctx.Err() != nil {
		t.Error("nothing is read for a day")
	}
}
