package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/finding"
)

// checkServers compares what the name servers said, each by itself, to the
// questions of this check.
func (a *audit) checkServers(ctx context.Context, s *section) {
	if !a.Authoritative {
		return
	}
	seen := make(map[string]bool) // server and way of failing: told once
	var answered []string
	for _, replies := range a.resolver.Replies() {
		for _, reply := range replies {
			server := reply.Server.String()
			switch {
			case reply.Err == nil:
				if !slices.Contains(answered, server) {
					answered = append(answered, server)
				}
			case !seen[server]:
				seen[server] = true
				a.serverFailed(s, reply)
			}
		}
		a.compare(ctx, s, replies)
	}
	if len(answered) > 0 {
		s.ok(a.domain, "name servers asked: %s", strings.Join(answered, ", "))
	}
}

func (a *audit) serverFailed(s *section, reply dns.Reply) {
	var failed *dns.LookupError
	if !errors.As(reply.Err, &failed) || failed.Kind == dns.BadName || failed.Kind == dns.Loop {
		return
	}
	// That its name could not be looked up says nothing about it either.
	if reply.Server.Addr == "" && failed.Kind != dns.NoAddress {
		s.failed(reply.Server.String(), reply.Err, "the name server was not asked, and what it says is not known")
		return
	}
	// A host without IPv6 says nothing about the server.
	if slices.ContainsFunc([]error{syscall.ENETUNREACH, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT},
		func(err error) bool { return errors.Is(reply.Err, err) }) {
		s.add(finding.Note, "dns-server-not-asked", reply.Server.String(),
			"this host has no way to the name server: "+reply.Err.Error(), "what it says is not known", "")
		return
	}
	code, what := "dns-server-"+string(failed.Kind), "the name server gives no answer: "+reply.Err.Error()
	effect := "resolvers that ask it wait for another one; if all are like it, mail is not accepted"
	fix := "have it repaired, or take it out of the zone's NS records and of the delegation"
	switch {
	case reply.Server.Addr == "":
		code = "dns-server-no-address"
	case failed.Kind == dns.Lame, failed.Kind == dns.Refused:
		code, what = "dns-server-lame", "the name server does not serve the zone: "+reply.Err.Error()
		fix = "set the zone up there, or take the server out of the zone's NS records and of the delegation"
	}
	s.add(finding.Warning, code, reply.Server.String(), what, effect, fix)
}

// compare reports name servers that hold different records. Addresses may
// differ on purpose, by where the question comes from.
func (a *audit) compare(ctx context.Context, s *section, replies []dns.Reply) {
	var kinds []string              // the different answers, as first seen
	by := make(map[string][]string) // who gives them
	var shown []string
	var first *dns.Answer
	for _, reply := range replies {
		if reply.Answer == nil || reply.Answer.Type != miekg.TypeTXT && reply.Answer.Type != miekg.TypeMX {
			continue
		}
		first = reply.Answer
		text := held(reply.Answer, strings.Clone)
		if by[text] == nil {
			kinds, shown = append(kinds, text), append(shown, held(reply.Answer, shortened))
		}
		by[text] = append(by[text], reply.Server.String())
	}
	if len(kinds) < 2 {
		return
	}
	var parts []string
	for i, kind := range kinds {
		verb := " say "
		if len(by[kind]) == 1 {
			verb = " says "
		}
		parts = append(parts, strings.Join(by[kind], " and ")+verb+shown[i])
	}
	s.add(finding.Fault, "dns-differs", first.Name,
		fmt.Sprintf("%s: the name servers differ: %s", miekg.TypeToString[first.Type], strings.Join(parts, "; ")),
		"receivers get the one or the other by chance",
		"wait until all of them have the same zone, or have its transfer repaired"+a.serials(ctx))
}

// serials says which version of the zone each name server has.
func (a *audit) serials(ctx context.Context) string {
	answer, err := a.resolver.Lookup(ctx, a.domain, miekg.TypeSOA)
	if err != nil {
		return ""
	}
	var parts []string
	for _, replies := range a.resolver.Replies() {
		for _, reply := range replies {
			if reply.Answer == nil || reply.Answer.Type != miekg.TypeSOA || reply.Answer.Name != answer.Name {
				continue
			}
			for _, rr := range reply.Answer.Records {
				if soa, ok := rr.(*miekg.SOA); ok {
					parts = append(parts, fmt.Sprintf("%s has serial %d", reply.Server, soa.Serial))
				}
			}
		}
	}
	if parts == nil {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}

// held is what an answer holds, without regard to order and TTL.
func held(answer *dns.Answer, shown func(string) string) string {
	var texts []string
	for _, txt := range answer.TXT() {
		texts = append(texts, fmt.Sprintf("%q", shown(txt.Text())))
	}
	for _, mx := range exchangers(answer) {
		texts = append(texts, fmt.Sprintf("%d %s", mx.Preference, strings.TrimSuffix(mx.Mx, ".")))
	}
	slices.Sort(texts)
	if n := len(answer.CNAMEs); n > 0 {
		texts = append(texts, "alias of "+answer.CNAMEs[n-1])
	}
	if texts == nil {
		return "that there is none"
	}
	return strings.Join(texts, ", ")
}
