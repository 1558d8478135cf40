package report

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// maxCount bounds what a row can add to a sum. No reporter gets more of one source in its
// period, and the sums of millions of the largest reports stay far from the end of an int.
const maxCount = 100_000_000

// count reads a number of messages. The error says what it was read as instead: a row without
// a number tells of one message at least, for otherwise it were not there. One below zero is -1.
func count(s string) (int, error) {
	s = strings.TrimSpace(s)
	whole, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	switch {
	case s == "":
		return 1, errors.New("no count, read as 1")
	case errors.Is(err, strconv.ErrRange) && whole[0] != '-', err == nil && n > maxCount:
		return maxCount, fmt.Errorf("count %s is too large, read as %d", brief(s), maxCount)
	case err == nil && n == 0 && strings.Trim(fraction, "0") == "":
		return 0, errors.New("a record of no messages")
	case err == nil && n < 0, errors.Is(err, strconv.ErrRange):
		return -1, fmt.Errorf("count is %s", brief(s))
	case err != nil, strings.Trim(fraction, "0") != "":
		return max(int(n), 1), fmt.Errorf("count is %s, read as %d", strconv.Quote(brief(s)), max(n, 1))
	}
	return int(n), nil
}

// address reads the address of a source: without white space in it, brackets and a zone, and
// one of IPv4 as such.
func address(s string) (netip.Addr, error) {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
	s = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	if s == "" {
		return netip.Addr{}, errors.New("no source_ip")
	}
	if len(s) > 5 && strings.EqualFold(s[:5], "ipv6:") { // RFC 5321, section 4.1.3
		s = s[5:]
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("source_ip %q is not an address", brief(s))
	}
	return a.Unmap().WithZone(""), nil
}

// moment reads a date of a period: seconds since 1970, as the schema wants it, smaller units of
// them, or ISO 8601. The note is empty where it is as it should be.
func moment(s string) (t time.Time, note string, ok bool) {
	s = strings.TrimSpace(s)
	whole, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || strings.Trim(fraction, "0123456789") != "" {
		t, ok := isoTime(s)
		return t, fmt.Sprintf("date %q is not in seconds since 1970", brief(s)), ok
	}
	// 1e11 seconds is the year 5138, and 1e11 milliseconds 1973.
	for units := 0; n >= 1e11 && units < 3; units++ {
		n /= 1000
		note = fmt.Sprintf("date %s is in smaller units than seconds", brief(s))
	}
	if n <= 0 || n >= 1e11 {
		return time.Time{}, "", false
	}
	return time.Unix(n, 0).UTC(), note, true
}

// isoTime reads a date and time of ISO 8601 as RFC 3339 has it, and a few forms near it.
// Where there is no zone it is UTC.
func isoTime(s string) (time.Time, bool) {
	s = strings.TrimSpace(s)
	for _, layout := range []string{
		time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00",
		"2006-01-02 15:04:05 UTC", "2006-01-02 15:04:05", time.DateOnly,
	} {
		if t, err := time.Parse(layout, s); err == nil && t.Unix() > 0 {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// brief cuts a text down to what can be quoted.
func brief(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}
