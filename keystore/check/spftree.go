package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/record"
)

// spfTree follows a record and all that it includes. The evaluation for one address
// ends at the term that matches, and so sees only a part of them.
type spfTree struct {
	*audit
	section *section
	record  string
	lookups int
	records int
	cut     bool // something is wrong, or more was not followed
}

// enough bounds the tree: receivers stop long before.
const enough = 50

// follow reads the record at domain. The path has the domains on the way there.
func (t *spfTree) follow(ctx context.Context, domain, text string, path []string) {
	path = append(slices.Clone(path), domain)
	policy, err := record.ParseSPF(text)
	if err != nil {
		t.cut = true
		if len(path) > 1 { // the record of the domain itself was linted
			t.wrong("spf-include-invalid", domain, path, "its SPF record is not valid: "+err.Error())
		}
		return
	}
	t.records++
	hasAll := slices.ContainsFunc(policy.Terms, func(term record.Term) bool { return term.Name == "all" })
	for _, term := range policy.Terms {
		if !term.LooksUp() || term.Name == "redirect" && hasAll { // RFC 7208, section 6.1
			continue
		}
		t.lookups++
		if t.lookups > enough {
			t.cut = true
			return
		}
		target := strings.ToLower(strings.TrimSuffix(term.Value, "."))
		if strings.Contains(target, "%") {
			continue // depends on the message
		}
		switch term.Name {
		case "include", "redirect":
			t.include(ctx, term, target, path)
		case "a", "mx":
			t.finds(ctx, term, cmp.Or(target, domain), domain)
		}
	}
}

func (t *spfTree) include(ctx context.Context, term record.Term, target string, path []string) {
	if slices.Contains(path, target) {
		t.cut = true
		t.wrong("spf-include-loop", path[len(path)-1], path,
			term.String()+" leads back to "+target+": a circle without end")
		return
	}
	texts, err := t.resolver.TXT(ctx, target)
	if err != nil {
		t.cut = true
		t.section.failed(target, err, "whether "+term.String()+" in the SPF record of "+
			path[len(path)-1]+" can be read is not known")
		return
	}
	policies := spfRecords(texts)
	switch len(policies) {
	case 0:
		t.cut = true
		t.wrong("spf-include-missing", target, path,
			"it has no SPF record, and "+term.String()+" in the record of "+path[len(path)-1]+" needs one")
	case 1:
		t.follow(ctx, target, policies[0], path)
	default:
		t.cut = true
		t.wrong("spf-include-several", target, path,
			fmt.Sprintf("it has %d SPF records, and %s in the record of %s needs exactly one",
				len(policies), term, path[len(path)-1]))
	}
}

func (t *spfTree) wrong(code, name string, path []string, what string) {
	t.section.add(finding.Fault, code, name, what,
		"receivers that come to it end with an error (permerror), which is no pass",
		"correct or remove the term in the record of "+path[len(path)-1]+
			" (it is reached by "+strings.Join(path, " -> ")+")")
}

// finds notes a term that finds nothing: two are allowed (RFC 7208, section
// 4.6.4).
func (t *spfTree) finds(ctx context.Context, term record.Term, target, domain string) {
	types := []uint16{miekg.TypeA, miekg.TypeAAAA}
	if term.Name == "mx" {
		types = []uint16{miekg.TypeMX}
	}
	for _, qtype := range types {
		answer, err := t.resolver.Lookup(ctx, target, qtype)
		var failed *dns.LookupError
		if errors.As(err, &failed) && failed.Kind == dns.BadName {
			continue
		}
		if err != nil || len(answer.Records) > 0 {
			return // a failure shows in the evaluation, where it matters
		}
	}
	t.section.add(finding.Warning, "spf-void", domain,
		fmt.Sprintf("%q in its SPF record finds nothing at %s", term, target),
		"with more than two such terms receivers end with an error (permerror), which is no pass",
		"remove the term, or publish what it looks for")
}

// conclude reports how many of the allowed lookups the record needs.
func (t *spfTree) conclude() {
	switch {
	case t.lookups > record.MaxLookups && !t.section.has("spf-lookups"):
		count := fmt.Sprint(t.lookups)
		if t.lookups > enough {
			count = "more than " + fmt.Sprint(enough)
		}
		t.section.add(finding.Fault, "spf-lookups", t.mailFrom,
			fmt.Sprintf("its SPF record and what it includes have %s terms that look something "+
				"up; %d are allowed", count, record.MaxLookups),
			"receivers that come to the one too many end with an error (permerror), which is no "+
				"pass (RFC 7208, section 4.6.4)",
			"replace include, a and mx terms by the ip4 and ip6 terms that they stand for, until 10 are left")
	case !t.cut && !t.section.has("spf-lookups"):
		t.section.ok(t.mailFrom, "the SPF record is valid: %s (%d of %d lookups in all)", t.record,
			t.lookups, record.MaxLookups)
	}
}
