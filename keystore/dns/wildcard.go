package dns

import (
	"context"
	"slices"
	"strings"
)

// Sibling returns a name beside another that nobody made: what it has is from a
// wildcard.
func Sibling(name string) string {
	_, parent, _ := strings.Cut(name, ".")
	return "signpost-looks-for-wildcards." + parent
}

// FromWildcard reports whether an answer comes from a wildcard, so that nothing is at
// the name itself: a record there takes the wildcard's place (RFC 4592, section 2.2.1).
func (r *Resolver) FromWildcard(ctx context.Context, answer *Answer) bool {
	if len(answer.CNAMEs) == 0 && len(answer.Records) == 0 {
		return false
	}
	other, err := r.Lookup(ctx, Sibling(answer.Name), answer.Type)
	if err != nil || !slices.Equal(other.CNAMEs, answer.CNAMEs) {
		return false
	}
	return len(answer.CNAMEs) > 0 || slices.Equal(sortedTexts(other), sortedTexts(answer))
}

func sortedTexts(answer *Answer) []string {
	var all []string
	for _, txt := range answer.TXT() {
		all = append(all, txt.Text())
	}
	slices.Sort(all)
	return all
}
