package dns

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Bounds of Names.
const (
	namesTime   = 20 * time.Second // for all addresses together
	namesAtOnce = 16               // addresses
	namesEach   = 4                // names of one address that are looked at
)

// Names returns the names of addresses (PTR), of no more than the first most of them. Who
// has an address writes its PTR as they like, mail.example.org too: only a name that leads
// back to the address counts (forward-confirmed). Of several it is the first by the
// alphabet, so that the answer is always the same. An address is absent that has no such
// name, or whose name cannot be found out in time.
func Names(ctx context.Context, r *Resolver, addrs []netip.Addr, most int) map[netip.Addr]string {
	ctx, cancel := context.WithTimeout(ctx, namesTime)
	defer cancel()
	var (
		mu    sync.Mutex
		wait  sync.WaitGroup
		names = make(map[netip.Addr]string)
		slots = make(chan struct{}, namesAtOnce)
	)
	for _, addr := range addrs[:min(max(most, 0), len(addrs))] {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			if name := r.confirmedName(ctx, addr.Unmap().WithZone("")); name != "" {
				mu.Lock()
				names[addr] = name
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return names
}

// confirmedName returns the name of an address; empty when there is none, or it is not known.
func (r *Resolver) confirmedName(ctx context.Context, addr netip.Addr) string {
	reverse, err := dns.ReverseAddr(addr.String())
	if err != nil || ctx.Err() != nil {
		return ""
	}
	answer, err := r.Lookup(ctx, reverse, dns.TypePTR)
	if err != nil {
		return ""
	}
	var names []string
	for _, rr := range answer.Records {
		if ptr, ok := rr.(*dns.PTR); ok && isHostName(Plain(ptr.Ptr)) {
			names = append(names, Plain(ptr.Ptr))
		}
	}
	slices.Sort(names)
	qtype := dns.TypeA
	if addr.Is6() {
		qtype = dns.TypeAAAA
	}
	for _, name := range names[:min(len(names), namesEach)] {
		if answer, err := r.Lookup(ctx, name, qtype); err == nil && slices.Contains(answer.Addrs(), addr) {
			return name
		}
	}
	return ""
}

// isHostName reports whether a name is letters, digits, hyphens and underscores between
// dots. The DNS lets any octet into a name.
func isHostName(name string) bool {
	return strings.Contains(name, ".") && !strings.ContainsFunc(name, func(c rune) bool {
		return c != '.' && c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z')
	})
}
