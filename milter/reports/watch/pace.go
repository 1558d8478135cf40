package watch

import (
	"context"
	"time"
)

// pace is how fast reports are read: for half of the time of one processor, in short
// pieces, so that mail does not notice. A lower priority of the thread would not do that:
// the collector of garbage waits for all threads.
type pace struct {
	began time.Time // of the piece
	start time.Time // of the look
	look  time.Duration
}

const piece = 10 * time.Millisecond

func (p *pace) begin() { p.start, p.began = time.Now(), time.Now() }

// listed notes how long it took to see what has changed.
func (p *pace) listed() { p.look, p.began = time.Since(p.start), time.Now() }

// taken returns that.
func (p *pace) taken() time.Duration { return p.look }

// rest rests for as long as the piece took, when it was long enough.
func (p *pace) rest(ctx context.Context) {
	worked := time.Since(p.began)
	if worked < piece {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(worked):
	}
	p.began = time.Now()
}
