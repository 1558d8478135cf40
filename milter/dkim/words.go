package dkim

import (
	"bytes"
	"encoding/binary"
)

// Eight octets are looked at as one word; these are the constants for that.
const (
	ones = 0x0101010101010101
	high = 0x8080808080808080
	low  = 0x7f7f7f7f7f7f7f7f
)

// plain returns the length of a run at the start of p that surely
// canonicalizes to itself: it has no TAB, and no SP before white space or
// another control. It ends at most a few octets early.
func plain(p []byte) (n int) {
	for stop := min(block/16, len(p)-32); ; {
		for ; n < stop; n += 32 {
			s := p[n : n+33]
			if (suspect(s[0:9])|suspect(s[8:17])|suspect(s[16:25])|suspect(s[24:33]))&high != 0 {
				return n + clean(p[n:])
			}
		}
		if n+33 > len(p) {
			return n + clean(p[n:])
		}
		n += unbroken(p[n:])
		stop = min(n+block, len(p)-32)
	}
}

// clean is plain for the words of a few octets.
func clean(p []byte) (n int) {
	for n+9 <= len(p) && suspect(p[n:n+9])&high == 0 {
		n += 8
	}
	return n
}

// block is how much is searched for white space at once.
const block = 4 << 10

// unbroken returns the length of the blocks at the start of p that have no white
// space at all, as base64 has none. To search for one octet is several times as fast
// as what plain does, and in text it ends at the first word.
func unbroken(p []byte) (n int) {
	for n+block <= len(p) && bytes.IndexByte(p[n:n+block], ' ') < 0 && bytes.IndexByte(p[n:n+block], '\t') < 0 {
		n += block
	}
	return n
}

// suspect sets the high bit of an octet for each of the first eight in s that
// is a TAB, or a SP with SP or less after it. It misses none, but a borrow may
// set one more than there is above one that is.
func suspect(s []byte) uint64 {
	word, next := binary.LittleEndian.Uint64(s), binary.LittleEndian.Uint64(s[1:])
	tab := (word ^ '\t'*ones) - ones
	sp := (word ^ ' '*ones) - ones
	control := (next - '!'*ones) &^ next
	return (tab | sp&control) &^ word
}

// squeeze canonicalizes the octets of word, given those one and two octets
// on. It returns what they come to and its length. It looks at no octet by
// itself and does not branch on them, so that no mixture of white space is
// slow.
func squeeze(word, next, after uint64) (out uint64, n int) {
	notTab := differ(word, '\t')
	stays := notTab&differ(word, ' ') | // no white space, or
		differ(next, ' ')&differ(next, '\t')& // the last of a run
			(differ(next, '\r')|differ(after, '\n')) // within a line
	drop := ^stays >> 7 & ones
	word ^= ^notTab >> 7 & ones * ('\t' ^ ' ')
	if drop == 0 {
		return word, 8
	}

	// Each octet moves down by the number of those dropped below it, which
	// the product sums up: first those with an odd way to go by one, then by
	// two, then by four. What is in the way has moved or is dropped.
	sums := drop * ones
	n = 8 - int(sums>>56)
	keep := (drop ^ ones) * 0xff
	word &= keep
	way := sums & keep

	odd := (way & ones) * 0xff
	x, w := word&odd, way&odd
	word, way = word^x|x>>8, way^w|w>>8

	two := (way >> 1 & ones) * 0xff
	x, w = word&two, way&two
	word, way = word^x|x>>16, way^w|w>>16

	four := (way >> 2 & ones) * 0xff
	x = word & four
	return word ^ x | x>>32, n
}

// differ sets the high bit of each octet of word that is not c, an ASCII
// character.
func differ(word uint64, c uint64) uint64 { return (word&low ^ c*ones) + low | word }
