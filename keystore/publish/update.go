package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/finding"
)

// update publishes by dynamic updates (RFC 2136), which are signed with a shared
// key (TSIG, RFC 8945). BIND, Knot and PowerDNS take them.
type update struct {
	server  string // host:port of the primary name server
	zone    string // that the records lie in; empty: the server is asked
	key     tsigKey
	timeout time.Duration // of one exchange
}

// Publish is that of a Publisher. What is no key record at the name stays.
func (u *update) Publish(ctx context.Context, name, value string, ttl time.Duration) error {
	return u.send(ctx, name, func(m *miekg.Msg, there []miekg.RR) error {
		found, err := look(value, texts(there))
		if err != nil || found {
			return err
		}
		m.Remove(those(there, revoked))
		m.Insert([]miekg.RR{dns.NewTXT(name, value, ttl)})
		return nil
	})
}

// Withdraw is that of a Publisher. What else is at the name stays; beside another
// key's record nothing is put.
func (u *update) Withdraw(ctx context.Context, name, value, instead string, ttl time.Duration) error {
	return u.send(ctx, name, func(m *miekg.Msg, there []miekg.RR) error {
		if _, err := look(value, texts(there)); err != nil && instead != "" {
			return err
		}
		m.Remove(those(there, func(text string) bool {
			return text != instead &&
				(same(text, value) || revoked(text))
		}))
		if instead != "" && !slices.Contains(texts(there), instead) {
			m.Insert([]miekg.RR{dns.NewTXT(name, instead, ttl)})
		}
		return nil
	})
}

// Replace is that of a Publisher. The server looks again, at the moment of the change,
// that nothing else is there (RFC 2136, sections 2.4.2 and 2.4.3).
func (u *update) Replace(ctx context.Context, name, old, value string, ttl time.Duration) error {
	return u.send(ctx, name, func(m *miekg.Msg, there []miekg.RR) error {
		done, err := replaced(old, value, texts(there))
		if err != nil || done {
			return err
		}
		record := dns.NewTXT(name, value, ttl)
		if old == "" {
			m.RRsetNotUsed([]miekg.RR{record})
		} else {
			was := those(there, func(text string) bool { return text == old })
			m.Used(anyTTL(was))
			m.Remove(was)
		}
		m.Insert([]miekg.RR{record})
		return nil
	})
}

// anyTTL returns records as a prerequisite has them (RFC 2136, section 2.4.2).
func anyTTL(rrs []miekg.RR) (copied []miekg.RR) {
	for _, rr := range rrs {
		rr = miekg.Copy(rr)
		rr.Header().Ttl = 0
		copied = append(copied, rr)
	}
	return copied
}

// those returns the TXT records that wanted picks by what they say. A record is
// taken away as it stands, in the strings that it has (RFC 2136, section 2.5.4).
func those(rrs []miekg.RR, wanted func(text string) bool) (found []miekg.RR) {
	for _, rr := range rrs {
		if text := texts([]miekg.RR{rr}); len(text) > 0 && wanted(text[0]) {
			found = append(found, rr)
		}
	}
	return found
}

// texts returns what TXT records say.
func texts(rrs []miekg.RR) (texts []string) {
	for _, txt := range (&dns.Answer{Records: rrs}).TXT() {
		texts = append(texts, txt.Text())
	}
	return texts
}

// send lets change fill in an update, given the TXT records that are there, and
// sends it unless it is empty.
func (u *update) send(ctx context.Context, name string, change func(m *miekg.Msg, there []miekg.RR) error) error {
	ctx, cancel := context.WithTimeout(ctx, u.timeout)
	defer cancel()
	zone := u.zone
	if zone == "" {
		var err error
		if zone, err = u.findZone(ctx, name); err != nil {
			return fmt.Errorf("looking for the zone of %s at %s: %w", name, u.server, err)
		}
	}
	fail := func(doing string, err error) error {
		return fmt.Errorf("%s %s in the zone %s at %s: %w", doing, name, strings.TrimSuffix(zone, "."), u.server, err)
	}
	there, err := u.look(ctx, name)
	if err != nil {
		return fail("looking at", err)
	}
	m := new(miekg.Msg).SetUpdate(miekg.Fqdn(zone))
	if err := change(m, there); err != nil {
		return fail("changing", err)
	}
	if len(m.Ns) == 0 {
		return nil
	}
	if i := slices.IndexFunc(there, isAlias); i >= 0 {
		// Servers put nothing beside it, and say that all went well (RFC 2136, section 3.4.2.2).
		return fail("changing", fmt.Errorf("it is an alias of %s, where no TXT record can be",
			dns.Plain(there[i].(*miekg.CNAME).Target)))
	}
	if _, err := u.exchange(ctx, m); err != nil {
		return fail("updating", err)
	}
	return nil
}

// look returns what the server has at a name: TXT records, or an alias and perhaps what is
// behind that. What comes from a wildcard is not at the name itself.
func (u *update) look(ctx context.Context, name string) ([]miekg.RR, error) {
	ask := func(name string) ([]miekg.RR, error) {
		answer, err := u.exchange(ctx, new(miekg.Msg).SetQuestion(miekg.Fqdn(name), miekg.TypeTXT))
		if err != nil {
			return nil, err
		}
		return answer.Answer, nil
	}
	there, err := ask(name)
	if err != nil || len(there) == 0 {
		return nil, err
	}
	// A server that has the zone of this name alone does not answer for another.
	if others, err := ask(dns.Sibling(name)); err == nil && slices.Equal(contents(there), contents(others)) {
		// Or it was revoked with the words of the wildcard. To take that away does no harm.
		return those(there, revoked), nil
	}
	return there, nil
}

// contents is what records say, whoever they are of.
func contents(rrs []miekg.RR) (all []string) {
	for _, rr := range rrs {
		all = append(all, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(all)
	return all
}

func isAlias(rr miekg.RR) bool { return rr.Header().Rrtype == miekg.TypeCNAME }

// exchange sends a signed message and returns a good answer.
func (u *update) exchange(ctx context.Context, m *miekg.Msg) (*miekg.Msg, error) {
	// By TCP, for a key record is long, and no answer can be forged blindly.
	client := &miekg.Client{Net: "tcp", Timeout: u.timeout}
	if u.key.name != "" {
		client.TsigSecret = map[string]string{u.key.name: u.key.secret}
		m.SetTsig(u.key.name, u.key.algorithm, 300, time.Now().Unix())
	}
	answer, _, err := client.ExchangeContext(ctx, m, u.server)
	nothing := m.Opcode == miekg.OpcodeQuery && answer != nil && answer.Rcode == miekg.RcodeNameError
	if answer != nil && answer.Rcode != miekg.RcodeSuccess && !nothing {
		return nil, refusal(answer)
	}
	return answer, err
}

// refusal says why a server does not do what it is asked for (RFC 2136, section
// 2.2; RFC 8945, section 5.3.2).
func refusal(answer *miekg.Msg) error {
	code := answer.Rcode
	if tsig := answer.IsTsig(); tsig != nil && tsig.Error != 0 {
		code = int(tsig.Error)
	}
	hint := map[int]string{
		miekg.RcodeRefused: "it must hold the zone, and let the key update it, as with " +
			"allow-update or update-policy in BIND, or an acl in Knot",
		miekg.RcodeNotAuth: "is it the primary server of the zone, and does it know the key?",
		miekg.RcodeNotZone: "give the zone that the name lies in",
		miekg.RcodeBadSig:  "the secret of the key differs from the server's",
		miekg.RcodeBadKey:  "the server knows no key of that name and algorithm",
		miekg.RcodeBadTime: "the clocks of the two hosts differ by more than five minutes",
	}[code]
	err := fmt.Errorf("the server answers %s", miekg.RcodeToString[code])
	if hint != "" {
		err = finding.WithHint(err, "%s", hint)
	}
	return err
}

// findZone returns the apex of the zone that the server has a name in.
func (u *update) findZone(ctx context.Context, name string) (string, error) {
	client := &miekg.Client{Net: "tcp", Timeout: u.timeout}
	for apex := miekg.Fqdn(name); apex != "."; {
		answer, _, err := client.ExchangeContext(ctx, new(miekg.Msg).SetQuestion(apex, miekg.TypeSOA), u.server)
		if err != nil {
			return "", err
		}
		for _, rr := range answer.Answer {
			if soa, ok := rr.(*miekg.SOA); ok && strings.EqualFold(soa.Hdr.Name, apex) {
				return apex, nil
			}
		}
		next, end := miekg.NextLabel(apex, 0)
		if end {
			break
		}
		apex = apex[next:]
	}
	return "", finding.WithHint(errors.New("it has none"),
		"give the server that has it, or name it with zone=")
}
