package report

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"

	"signpost/keystore"
)

// words gives the texts of a report, each of which is kept once: a hundred thousand rows say
// the same few things.
type words struct {
	kept       map[string]string
	domains    map[string]string
	signatures map[string][]Signature
	senders    map[string][]Sender
	key        []byte
}

func newWords() *words {
	return &words{
		kept: make(map[string]string), domains: make(map[string]string),
		signatures: make(map[string][]Signature), senders: make(map[string][]Sender),
	}
}

// text returns a text in valid UTF-8, without white space around it, and not too long.
func (w *words) text(b []byte) string {
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return ""
	}
	if have, ok := w.kept[string(b)]; ok {
		return have
	}
	if !utf8.Valid(b) {
		b = bytes.ToValidUTF8(b, []byte("\ufffd"))
	}
	if len(b) > maxText {
		b = bytes.TrimSpace(bytes.ToValidUTF8(b[:maxText], nil))
	}
	s := string(b)
	w.kept[s] = s
	return s
}

// lower returns a text in lower case.
func (w *words) lower(b []byte) string { return w.text(bytes.ToLower(b)) }

// domain returns a domain as A-labels in lower case, or the text as it stands where it is
// none. Of an address it is the domain.
func (w *words) domain(b []byte) string {
	b = bytes.TrimSpace(b)
	if have, ok := w.domains[string(b)]; ok {
		return have
	}
	s := w.text(b)
	name := strings.TrimFunc(s[strings.LastIndexByte(s, '@')+1:], func(r rune) bool {
		return r == '<' || r == '>' || unicode.IsSpace(r)
	})
	domain, err := keystore.Domain(name)
	if err != nil {
		domain = w.lower([]byte(name))
	}
	if domain == "null" || domain == "not.evaluated" { // what AOL wrote for none
		domain = ""
	}
	domain = w.text([]byte(domain))
	w.domains[string(b)] = domain
	return domain
}

// same returns a list like this one, which rows share. Each puts an element in words.
func same[T any](w *words, lists map[string][]T, list []T, each func(T) [3]string) []T {
	if len(list) == 0 {
		return nil
	}
	w.key = w.key[:0]
	for _, element := range list {
		texts := each(element)
		w.key = appendWords(w.key, texts[:]...)
	}
	have, ok := lists[string(w.key)]
	if !ok {
		have = append(have, list...)
		lists[string(w.key)] = have
	}
	return have[:len(have):len(have)]
}

func (w *words) sameSignatures(list []Signature) []Signature {
	return same(w, w.signatures, list, func(s Signature) [3]string { return [3]string{s.Domain, s.Selector, s.Result} })
}

func (w *words) sameSenders(list []Sender) []Sender {
	return same(w, w.senders, list, func(s Sender) [3]string { return [3]string{s.Domain, s.Scope, s.Result} })
}

// appendWords appends texts so that no others give the same.
func appendWords(key []byte, list ...string) []byte {
	for _, s := range list {
		key = append(binary.AppendUvarint(key, uint64(len(s))), s...)
	}
	return key
}
