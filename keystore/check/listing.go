package check

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"signpost/keystore/finding"
)

// mostListWaits bounds how long the DNSBLs are waited for, as a multiple of the
// resolver's time-out: what they say is not worth more.
const mostListWaits = 2

// checkListings asks the DNSBLs about the public addresses that send.
func (a *audit) checkListings(ctx context.Context, s *section) {
	ctx, cancel := context.WithTimeout(ctx, mostListWaits*a.Resolver.Patience)
	defer cancel()
	addrs := slices.DeleteFunc(slices.Clone(a.senders), func(addr netip.Addr) bool { return !IsPublic(addr) })
	if len(addrs) == 0 {
		return
	}
	addrs = addrs[:min(len(addrs), mostNames)]
	lists := a.Lists[:min(len(a.Lists), mostNames)]
	// Each question is put once, so that one that gets no answer is done with before the time is
	// over, and remembered: with many domains it is waited for once.
	resolver := *a.Resolver
	resolver.Attempts = 1
	answers := make([][]listing, len(lists))
	var asking sync.WaitGroup
	for i, zone := range lists {
		asking.Go(func() { answers[i] = dnsbl{zone, &resolver}.ask(ctx, addrs) })
	}
	asking.Wait()
	a.tellListings(s, lists, addrs, answers)
}

// tellListings tells the answers of each list, in the order of the addresses: what is
// alike in one line.
func (a *audit) tellListings(s *section, lists []string, addrs []netip.Addr, answers [][]listing) {
	clean := make([][]string, len(addrs)) // the lists that do not have the address
	var failures []listFailure
	for i, zone := range lists {
		list := dnsbl{zone: zone}
		var failed listFailure
		for j, l := range answers[i] {
			switch {
			case l.err != nil:
				failed.addrs, failed.why = append(failed.addrs, l.addr), l.err.Error()
			case len(l.codes) > 0:
				listed(s, list, l)
			case l.addr.IsValid():
				clean[j] = append(clean[j], list.String())
			}
		}
		if failed.why == "" {
			continue
		}
		if n := len(failures); n > 0 && failures[n-1].why == failed.why && slices.Equal(failures[n-1].addrs, failed.addrs) {
			failures[n-1].lists += ", " + list.String()
		} else {
			failed.lists = list.String()
			failures = append(failures, failed)
		}
	}
	for _, failed := range failures {
		a.listFailed(s, failed)
	}
	for i := 0; i < len(addrs); {
		same := i + 1
		for same < len(addrs) && slices.Equal(clean[same], clean[i]) {
			same++
		}
		if len(clean[i]) > 0 {
			s.ok(join(addrs[i:same]), "not listed by %s", strings.Join(clean[i], ", "))
		}
		i = same
	}
}

func listed(s *section, list dnsbl, l listing) {
	level, effect := finding.Warning, "receivers that use this list refuse mail from the address, or treat it as spam"
	if list.isSpamhaus() {
		level, effect = finding.Fault, "many receivers refuse mail from the address"
	}
	var codes []string
	policy := true // it is on the PBL, and no other
	for _, code := range l.codes {
		name := list.name(code)
		policy = policy && name == "PBL"
		codes = append(codes, strings.TrimSpace(name+" "+code.String()))
	}
	what := fmt.Sprintf("the sending address is listed by %s (%s)", list, strings.Join(codes, ", "))
	if l.text != "" {
		what += fmt.Sprintf(": %q", shortened(l.text))
	}
	fix := "find out what sent the spam and end it, then ask the list to remove the address"
	if policy {
		fix = "PBL has addresses that should not send by themselves: send through your provider's relay, or, " +
			"where you run a mail server there with a fixed address, remove it at https://check.spamhaus.org/"
	} else if list.isSpamhaus() {
		fix += ": https://check.spamhaus.org/"
	}
	s.add(level, "dnsbl-listed", l.addr.String(), what, effect, fix)
}

// listFailure is that some lists in a row gave no answer, for the same reason.
type listFailure struct {
	lists string
	addrs []netip.Addr
	why   string
}

func (a *audit) listFailed(s *section, failed listFailure) {
	level, effect := finding.Note, ""
	if a.ListsGiven {
		level, effect = finding.Unknown, "whether receivers refuse mail for it is not known"
	}
	s.add(level, "dnsbl-unknown", failed.lists,
		fmt.Sprintf("cannot know whether %s is listed: %s", join(failed.addrs), failed.why), effect,
		"ask by a resolver of your own, not a public one (--resolver), or no list (--dnsbl none)")
}
