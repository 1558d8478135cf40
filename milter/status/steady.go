package status

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// steady is a clock that begins with the time of day and then goes on evenly: it is
// never set, and the time of a suspend passes on it, which time.Since leaves out.
type steady struct {
	start  time.Time
	nanos  int64         // the same, since 1970
	boot   time.Duration // sinceBoot at the start
	gap    atomic.Int64  // the time of day is so much ahead of the time awake
	asleep atomic.Int64
}

func newSteady() *steady {
	now := time.Now()
	return &steady{start: now, nanos: now.UnixNano(), boot: sinceBoot()}
}

// at is the time on the clock at a time that time.Now returned, in seconds.
func (c *steady) at(now time.Time) int64 {
	awake := now.Sub(c.start) // by the monotonic clock
	wall := time.Duration(now.UnixNano() - c.nanos)
	return (c.nanos + int64(c.passed(wall, awake, sinceBoot))) / int64(time.Second)
}

// passed returns how long the clock has gone. It asks the system for that, which takes
// longer than all the rest of counting, only when the clocks have come apart.
func (c *steady) passed(wall, awake time.Duration, boot func() time.Duration) time.Duration {
	gap := wall - awake
	if (gap - time.Duration(c.gap.Load())).Abs() > time.Second {
		c.gap.Store(int64(gap))
		c.asleep.Store(max(0, int64(boot()-c.boot-awake)))
	}
	return awake + time.Duration(c.asleep.Load())
}

// sinceBoot is the age of the system, asleep or awake.
func sinceBoot() time.Duration {
	var at unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &at) != nil {
		return 0
	}
	return time.Duration(at.Nano())
}
