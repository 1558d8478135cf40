package record

import (
	"net/netip"
	"slices"
	"strings"
)

// mendSPF reads a record with the slips that people make put right. It reports
// false where a term remains that it cannot guess.
func mendSPF(text string) (SPF, bool) {
	var r SPF
	words := strings.Fields(text)
	if len(words) == 0 || !strings.EqualFold(words[0], "v=spf1") {
		return r, false
	}
	whole := true
	sign := ""
	for _, word := range words[1:] {
		if len(word) == 1 && strings.Contains("+-~?", word) {
			sign = word // "- all"
			continue
		}
		t, ok := mendTerm(sign + word)
		sign = ""
		if ok {
			r.Terms = append(r.Terms, t)
		}
		whole = whole && ok
	}
	return r, whole
}

func mendTerm(word string) (Term, bool) {
	word = strings.TrimRight(word, ",;")
	for _, candidate := range candidates(word) {
		if t, err := ParseTerm(candidate); err == nil && !(t.Modifier && isMechanism(t.Name)) {
			return t, true
		}
	}
	return Term{}, false
}

// candidates returns what a word could have been meant to be, the likeliest first.
func candidates(word string) []string {
	all := []string{word}
	sign := ""
	bare := word
	if bare != "" && strings.Contains("+-~?", bare[:1]) {
		sign, bare = bare[:1], bare[1:]
	}
	name, value, found := strings.Cut(bare, ":")
	if before, after, equals := strings.Cut(bare, "="); equals && (!found || len(before) < len(name)) {
		name, value, found = before, after, true
	}
	name = strings.ToLower(name)
	if !found {
		value = bare
	}
	// "ip:192.0.2.1", "a:192.0.2.1", "192.0.2.1" and the wrong one of ip4 and ip6.
	for _, address := range []string{bare, value} {
		if ip, err := netip.ParseAddr(strings.Split(address, "/")[0]); err == nil && ip.Is4() {
			all = append(all, sign+"ip4:"+address)
		} else if err == nil {
			all = append(all, sign+"ip6:"+address)
		}
	}
	if found {
		known := []string{"include", "exists", "ip4", "ip6", "mx", "ptr", "a", "redirect", "exp"}
		meant := name
		if !slices.Contains(known, name) {
			meant = nearest(name, known...)
		}
		separator := ":"
		if meant == "redirect" || meant == "exp" {
			separator = "="
		}
		all = append(all, sign+meant+separator+value)
	} else if meant := nearest(name, "all", "mx", "ptr"); meant != "" {
		all = append(all, sign+meant)
	}
	return all
}

// tidySPF returns a record without what does harm or nothing: terms twice, terms
// behind "all" moved before it, ptr, addresses that nobody sees. It ends in a
// policy that says something.
func tidySPF(r SPF) SPF {
	var tidy SPF
	all := Term{Qualifier: "-", Name: "all"}
	redirect := false
	seen := make(map[string]bool)
	var modifiers []Term
	for _, t := range r.Terms {
		key := strings.ToLower(t.String())
		switch {
		case seen[key]:
		case isAll(t):
			if t.Qualifier == "~" {
				all.Qualifier = "~"
			}
		case t.Modifier && slices.ContainsFunc(modifiers, func(other Term) bool { return other.Name == t.Name }):
		case t.Modifier:
			redirect = redirect || t.Name == "redirect"
			modifiers = append(modifiers, t)
		case useless(t):
		default:
			tidy.Terms = append(tidy.Terms, masked(t))
		}
		seen[key] = true
	}
	hasAll := slices.ContainsFunc(r.Terms, isAll)
	if redirect && !hasAll {
		tidy.Terms = append(tidy.Terms, modifiers...)
		return tidy
	}
	// What let mail pass by a term that is dropped must not fail from now on.
	if !slices.ContainsFunc(tidy.Terms, passes) && !onlyRefuses(r) {
		tidy.Terms = append(tidy.Terms, Term{Name: "mx"})
	}
	tidy.Terms = append(tidy.Terms, all)
	for _, t := range modifiers {
		if t.Name != "redirect" {
			tidy.Terms = append(tidy.Terms, t)
		}
	}
	return tidy
}

// passes reports whether a term can give "pass".
func passes(t Term) bool { return !t.Modifier && (t.Qualifier == "" || t.Qualifier == "+") }

// onlyRefuses reports whether a record is that of a domain without mail.
func onlyRefuses(r SPF) bool {
	at := slices.IndexFunc(r.Terms, isAll)
	return at >= 0 && strings.Contains("-~", r.Terms[at].Qualifier) && !slices.ContainsFunc(r.Terms, passes)
}

func useless(t Term) bool {
	if t.Name == "ptr" {
		return true
	}
	if t.Name != "ip4" && t.Name != "ip6" {
		return false
	}
	network, err := networkOf(t)
	return err == nil && (network.Bits() == 0 || network.Addr().IsPrivate() ||
		network.Addr().IsLoopback() || network.Addr().IsLinkLocalUnicast())
}

// masked returns a network without host bits.
func masked(t Term) Term {
	if network, err := networkOf(t); err == nil && (t.Name == "ip4" || t.Name == "ip6") && network.Masked() != network {
		t.Value = network.Masked().Addr().String()
	}
	return t
}

// mergeSPF makes one record of several.
func mergeSPF(records []string) SPF {
	var merged SPF
	for _, text := range records {
		mended, _ := mend(text)
		r, _ := mendSPF(mended)
		// Beside the "all" of another record redirect= would have no effect.
		if !slices.ContainsFunc(r.Terms, isAll) {
			for i, t := range r.Terms {
				if t.Modifier && t.Name == "redirect" {
					r.Terms[i] = Term{Name: "include", Value: t.Value}
				}
			}
		}
		merged.Terms = append(merged.Terms, r.Terms...)
	}
	return tidySPF(merged)
}
