package finding

import "strconv"

// Number writes a number for a reader: 41,203.
func Number(n int) string {
	s := strconv.Itoa(n)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(s) - 3; i > first; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Count writes a number of things: "1 day", "41,203 messages".
func Count(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return Number(n) + " " + several
}
