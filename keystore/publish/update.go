package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Update publishes by dynamic updates (RFC 2136), which are signed with a shared
// key (TSIG, RFC 8945). BIND, Knot and PowerDNS take them.
type Update struct {
	Server  string // host:port of the primary name server
	Zone    string // that the records lie in; empty: the server is asked
	Key     Key
	Timeout time.Duration // of one exchange
}

// Publish is that of a Publisher. What is no key record at the name stays.
func (u *Update) Publish(ctx context.Context, name, value string, ttl time.Duration) error {
	return u.send(ctx, name, func(m *dns.Msg, there []dns.RR) error {
		found, err := look(value, texts(there))
		if err != nil || found {
			return err
		}
		m.Remove(those(there, revoked))
		m.Insert([]dns.RR{txt(name, value, ttl)})
		return nil
	})
}

// Withdraw is that of a Publisher. What else is at the name stays; beside another
// key's record nothing is put.
func (u *Update) Withdraw(ctx context.Context, name, value, instead string, ttl time.Duration) error {
	return u.send(ctx, name, func(m *dns.Msg, there []dns.RR) error {
		if _, err := look(value, texts(there)); err != nil && instead != "" {
			return err
		}
		m.Remove(those(there, func(text string) bool { return text != instead && (same(text, value) || revoked(text)) }))
		if instead != "" && !slices.Contains(texts(there), instead) {
			m.Insert([]dns.RR{txt(name, instead, ttl)})
		}
		return nil
	})
}

// those returns the TXT records that wanted picks by what they say. A record is
// taken away as it stands, in the strings that it has (RFC 2136, section 2.5.4).
func those(rrs []dns.RR, wanted func(text string) bool) (found []dns.RR) {
	for _, rr := range rrs {
		if text := texts([]dns.RR{rr}); len(text) > 0 && wanted(text[0]) {
			found = append(found, rr)
		}
	}
	return found
}

// texts returns what TXT records say.
func texts(rrs []dns.RR) (texts []string) {
	for _, rr := range rrs {
		if txt, ok := rr.(*dns.TXT); ok {
			texts = append(texts, strings.Join(txt.Txt, ""))
		}
	}
	return texts
}

func txt(name, value string, ttl time.Duration) *dns.TXT {
	rr := &dns.TXT{Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: uint32(ttl / time.Second)}}
	for ; len(value) > 255; value = value[255:] { // RFC 1035, section 3.3
		rr.Txt = append(rr.Txt, value[:255])
	}
	rr.Txt = append(rr.Txt, value)
	return rr
}

// send lets change fill in an update, given the TXT records that are there, and
// sends it unless it is empty.
func (u *Update) send(ctx context.Context, name string, change func(m *dns.Msg, there []dns.RR) error) error {
	ctx, cancel := context.WithTimeout(ctx, u.Timeout)
	defer cancel()
	zone := u.Zone
	if zone == "" {
		var err error
		if zone, err = u.findZone(ctx, name); err != nil {
			return fmt.Errorf("looking for the zone of %s at %s: %w", name, u.Server, err)
		}
	}
	fail := func(doing string, err error) error {
		return fmt.Errorf("%s %s in the zone %s at %s: %w", doing, name, strings.TrimSuffix(zone, "."), u.Server, err)
	}
	there, err := u.exchange(ctx, new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeTXT))
	if err != nil {
		return fail("looking at", err)
	}
	m := new(dns.Msg).SetUpdate(dns.Fqdn(zone))
	if err := change(m, there.Answer); err != nil {
		return fail("changing", err)
	}
	if len(m.Ns) == 0 {
		return nil
	}
	if _, err := u.exchange(ctx, m); err != nil {
		return fail("updating", err)
	}
	return nil
}

// exchange sends a signed message and returns a good answer.
func (u *Update) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	// By TCP, for a key record is long, and no answer can be forged blindly.
	client := &dns.Client{Net: "tcp", Timeout: u.Timeout}
	if u.Key.Name != "" {
		client.TsigSecret = map[string]string{u.Key.Name: u.Key.Secret}
		m.SetTsig(u.Key.Name, u.Key.Algorithm, 300, time.Now().Unix())
	}
	answer, _, err := client.ExchangeContext(ctx, m, u.Server)
	nothing := m.Opcode == dns.OpcodeQuery && answer != nil && answer.Rcode == dns.RcodeNameError
	if answer != nil && answer.Rcode != dns.RcodeSuccess && !nothing {
		return nil, refusal(answer)
	}
	return answer, err
}

// refusal says why a server does not do what it is asked for (RFC 2136, section
// 2.2; RFC 8945, section 5.3.2).
func refusal(answer *dns.Msg) error {
	code := answer.Rcode
	if tsig := answer.IsTsig(); tsig != nil && tsig.Error != 0 {
		code = int(tsig.Error)
	}
	hint := map[int]string{
		dns.RcodeRefused: "it must hold the zone, and let the key update it, as with allow-update or update-policy in BIND, or an acl in Knot",
		dns.RcodeNotAuth: "is it the primary server of the zone, and does it know the key?",
		dns.RcodeNotZone: "give the zone that the name lies in",
		dns.RcodeBadSig:  "the secret of the key differs from the server's",
		dns.RcodeBadKey:  "the server knows no key of that name and algorithm",
		dns.RcodeBadTime: "the clocks of the two hosts differ by more than five minutes",
	}[code]
	err := fmt.Errorf("the server answers %s", dns.RcodeToString[code])
	if hint != "" {
		err = fmt.Errorf("%w; hint: %s", err, hint)
	}
	return err
}

// findZone returns the apex of the zone that the server has a name in.
func (u *Update) findZone(ctx context.Context, name string) (string, error) {
	client := &dns.Client{Net: "tcp", Timeout: u.Timeout}
	for apex := dns.Fqdn(name); apex != "."; {
		answer, _, err := client.ExchangeContext(ctx, new(dns.Msg).SetQuestion(apex, dns.TypeSOA), u.Server)
		if err != nil {
			return "", err
		}
		for _, rr := range answer.Answer {
			if soa, ok := rr.(*dns.SOA); ok && strings.EqualFold(soa.Hdr.Name, apex) {
				return apex, nil
			}
		}
		next, end := dns.NextLabel(apex, 0)
		if end {
			break
		}
		apex = apex[next:]
	}
	return "", errors.New("it has none; hint: give the server that has it, or name it with zone=")
}
