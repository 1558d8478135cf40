package milter

import "strings"

// asciiCharsets are what the names of charsets begin with in which octets below 128 are
// ASCII, as far as programs know them: MIME's, and some that are no names at all. What is none
// of them may be UTF-7, UTF-16 or EBCDIC, which have other octets for an @.
var asciiCharsets = [...]string{
	"utf-8", "utf8", "us-ascii", "ascii", "ansi", "iso-8859-", "iso8859", "iso_8859-", "latin", "windows", "cp125", "cp85",
	"cp86", "cp9", "ibm85", "ibm86", "koi8-", "gb", "big5", "euc-", "shift", "sjis", "iso-2022-", "hz-gb-",
	"ks_c_", "tis-620", "mac",
	"x-mac", "x-gbk", "x-sjis", "unknown", "x-unknown", "default", "binary", "none", "8bit",
}

// otherCharset reports whether a text has an encoded-word in a charset that may have other
// octets for an @ than ASCII.
func otherCharset(text string) bool {
	for {
		_, after, found := strings.Cut(text, "=?")
		charset, rest, whole := strings.Cut(after, "?")
		if !found || !whole {
			return false
		}
		charset, _, _ = strings.Cut(strings.ToLower(charset), "*") // a language (RFC 2231, section 5)
		how, _, _ := strings.Cut(rest, "?")
		if (strings.EqualFold(how, "q") || strings.EqualFold(how, "b")) && !asciiBased(charset) {
			return true
		}
		text = after
	}
}

func asciiBased(charset string) bool {
	for _, name := range asciiCharsets {
		if strings.HasPrefix(charset, name) {
			return true
		}
	}
	return false
}
