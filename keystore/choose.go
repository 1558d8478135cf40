package keystore

import (
	"cmp"
	"slices"
	"strings"

	"signpost/keystore/dns"
)

// order puts the keys of one domain in order of age, the newest last: by the
// modification time of the file, then by the natural order of the selector, so
// that s10 is newer than s9. Times count in seconds, for Kubernetes writes all
// files of a Secret in one go, and in any order. Keys of one name stay as they are.
func order(keys []*Key) {
	slices.SortStableFunc(keys, func(a, b *Key) int {
		return cmp.Or(
			cmp.Compare(a.ModTime.Unix(), b.ModTime.Unix()),
			naturalCompare(a.Selector, b.Selector),
			strings.Compare(a.Selector, b.Selector),
		)
	})
}

// newest picks from one domain's keys, ordered by age, the newest of each
// algorithm, RSA first. A verifier that does not know Ed25519 needs the RSA
// signature, so Ed25519 is only ever a second one (RFC 8463, section 5), unless
// there is no RSA key at all.
func newest(keys []*Key) []*Key {
	var chosen []*Key
	for _, algorithm := range []Algorithm{RSA, Ed25519} {
		for _, key := range slices.Backward(keys) {
			if key.Algorithm == algorithm {
				chosen = append(chosen, key)
				break
			}
		}
	}
	return chosen
}

// proven picks those that sign when the DNS is asked. Keys whose records are
// there sign, the newest of each algorithm, and no other does. Where there is
// none, what signed before goes on, and where nothing did, the oldest key signs:
// a new one never takes over unproven, and a DNS that does not answer is never a
// reason to stop.
func proven(keys []*Key, marks []mark) []*Key {
	those := func(want func(mark) bool) (picked []*Key) {
		for i, m := range marks {
			if want(m) {
				picked = append(picked, keys[i])
			}
		}
		return picked
	}
	if there := those(func(m mark) bool { return m.presence == dns.There }); len(there) > 0 {
		return newest(there)
	}
	if before := those(func(m mark) bool { return m.active != 0 }); len(before) > 0 {
		return newest(before)
	}
	for _, algorithm := range []Algorithm{RSA, Ed25519} {
		for i, key := range keys {
			if key.Algorithm == algorithm {
				return keys[i : i+1]
			}
		}
	}
	return nil
}

// Choose returns the keys of a domain that a signpostd would sign with that starts
// now, and is told which of them are published.
func (s *Snapshot) Choose(name string, there func(*Key) bool) []*Key {
	keys := s.Keys(name)
	marks := make([]mark, len(keys))
	for i, key := range keys {
		if there(key) {
			marks[i].presence = dns.There
		}
	}
	return proven(keys, marks)
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
