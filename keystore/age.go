package keystore

import (
	"cmp"
	"slices"
	"strings"
)

// ByAge sorts the keys of one domain by age, the newest last, and returns them: by
// when they were made, then by the natural order of the selector, so that s10 is newer
// than s9. Times are compared in seconds, for Kubernetes writes all files of a Secret at
// once, in any order. Keys of one name keep their order.
func ByAge(keys []*Key) []*Key {
	slices.SortStableFunc(keys, func(a, b *Key) int {
		return cmp.Or(
			cmp.Compare(a.ModTime.Unix(), b.ModTime.Unix()),
			naturalCompare(a.Selector, b.Selector),
			strings.Compare(a.Selector, b.Selector),
		)
	})
	return keys
}

// naturalCompare compares runs of digits by their value, all else by byte.
func naturalCompare(a, b string) int {
	for a != "" && b != "" {
		digitsA, digitsB := leadingDigits(a), leadingDigits(b)
		if digitsA == "" || digitsB == "" {
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		valueA, valueB := strings.TrimLeft(digitsA, "0"), strings.TrimLeft(digitsB, "0")
		if c := cmp.Or(cmp.Compare(len(valueA), len(valueB)), strings.Compare(valueA, valueB)); c != 0 {
			return c
		}
		a, b = a[len(digitsA):], b[len(digitsB):]
	}
	return cmp.Compare(len(a), len(b))
}

func leadingDigits(s string) string {
	end := 0
	for end < len(s) && '0' <= s[end] && s[end] <= '9' {
		end++
	}
	return s[:end]
}
