package milter

import "time"

// seldom keeps a line that peers can cause from filling the log: it may be written
// every so often, with how many there were.
type seldom struct {
	last  time.Time
	count int
}

const saidEvery = 10 * time.Second

// say calls write with the number since the last time, unless that was just now.
func (s *seldom) say(now time.Time, write func(count int)) {
	s.count++
	if now.Sub(s.last) < saidEvery {
		return
	}
	write(s.count)
	s.last, s.count = now, 0
}
