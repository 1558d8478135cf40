package report

import (
	"strconv"
	"strings"
	"time"
)

// maxCount bounds what a row can add to a sum. No reporter gets more of one source in a day,
// and the sums of as many rows as can be read stay far from the end of an int.
const maxCount = 1_000_000_000

// count reads a number of messages. It is 0 for what is none.
func count(s string) int {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 64)
	if err != nil {
		return 0
	}
	return int(min(n, maxCount))
}

// isoTime reads a date and time of ISO 8601 as RFC 3339 has it, and a few forms near it.
// Where there is no zone it is UTC.
func isoTime(s string) (time.Time, bool) {
	s = strings.TrimSpace(s)
	for _, layout := range []string{
		time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", time.DateOnly,
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
