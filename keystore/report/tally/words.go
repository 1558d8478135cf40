package tally

import (
	"cmp"
	"net/netip"
	"strings"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
)

func messages(n int) string { return finding.Count(n, "message", "messages") }

// date writes a day, with the year where it is not this one.
func date(day, now time.Time) string {
	if day.Year() != now.Year() && !now.IsZero() {
		return day.Format("2 January 2006")
	}
	return day.Format("2 January")
}

// when writes a day as it is said: today, yesterday, 12 November.
func when(day, now time.Time) string {
	switch dayOf(now).Sub(dayOf(day)) {
	case 0:
		return "today"
	case 24 * time.Hour:
		return "yesterday"
	}
	return date(day, now)
}

// on puts "on" before a date, and not before yesterday.
func on(day, now time.Time) string {
	if s := when(day, now); s == "today" || s == "yesterday" {
		return s
	}
	return "on " + date(day, now)
}

// who writes an address with its name.
func who(a netip.Addr, name string) string {
	if name == "" {
		return a.String()
	}
	return a.String() + " (" + name + ")"
}

// sameName compares domains or selectors.
func sameName(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}

// pasted returns a name that may be pasted into a shell: a domain, or nothing. Names in reports
// are as somebody wrote them.
func pasted(name string) string {
	if domain, err := keystore.Domain(name); err != nil || domain != name {
		return ""
	}
	return name
}

// check is the command that looks at the records of a domain.
func (v *view) check(domain uint32) string {
	return "`signpost check " + cmp.Or(pasted(v.word(domain)), pasted(v.domain), "DOMAIN") + "`"
}
