package status

import (
	"fmt"
	"strings"
	"time"

	"signpost/keystore/finding"
)

// plain makes text from names on disk, the DNS or a peer safe to show, on one line.
func plain(s string) string {
	const most = 1000
	return finding.Visible(strings.ReplaceAll(s, "\n", "; "), most)
}

// span says a duration in its two largest units.
func span(d time.Duration) string {
	day := 24 * time.Hour
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < day:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	case d < 10*day:
		return fmt.Sprintf("%d d %d h", d/day, d%day/time.Hour)
	}
	return fmt.Sprintf("%d days", d/day)
}

// relative says how long ago a time is, or in what time it will be.
func relative(t, now time.Time) string {
	if t.After(now) {
		return "in " + span(t.Sub(now))
	}
	if now.Sub(t) < time.Second {
		return "now"
	}
	return span(now.Sub(t)) + " ago"
}

// grouped writes a number with spaces between its thousands.
func grouped(n any) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}
