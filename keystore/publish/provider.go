package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/libdns/libdns"

	"signpost/keystore/finding"
	"signpost/keystore/record"
)

// provider publishes through the API of a DNS provider.
type provider struct {
	name    string // as Open knows it
	api     api
	zones   zones
	timeout time.Duration // of one change
}

// api is what of libdns we need.
type api interface {
	libdns.RecordGetter
	libdns.RecordSetter
	libdns.RecordDeleter
}

// Publish is that of a Publisher. It fails where anything else is at the name.
func (p *provider) Publish(ctx context.Context, name, value string, ttl time.Duration) error {
	return p.change(ctx, name, func(ctx context.Context, z *zone) error {
		if found, err := mayPublish(value, z.texts); err != nil || found {
			return err
		}
		return z.set(ctx, value, ttl)
	})
}

// Withdraw is that of a Publisher. A record that says that the key is revoked comes
// first, even if it is only to be deleted: the providers give a long text back in
// several strings, and then do not find it by what they were given.
func (p *provider) Withdraw(ctx context.Context, name, value, instead string, ttl time.Duration) error {
	return p.change(ctx, name, func(ctx context.Context, z *zone) error {
		last := cmp.Or(instead, record.DKIM{}.String())
		found, err := mayWithdraw(value, instead, z.texts)
		if err != nil || !found && instead == "" {
			return err
		}
		if !found || z.texts[0] != last {
			if err := z.set(ctx, last, ttl); err != nil {
				return err
			}
		}
		if instead != "" {
			return nil
		}
		return z.delete(ctx, last)
	})
}

// Replace is that of a Publisher.
func (p *provider) Replace(ctx context.Context, name, old, value string, ttl time.Duration) error {
	return p.change(ctx, name, func(ctx context.Context, z *zone) error {
		done, err := replaced(old, value, z.texts)
		if err != nil || done {
			return err
		}
		return z.set(ctx, value, ttl)
	})
}

// change lets do make a change in the zone of a name.
func (p *provider) change(ctx context.Context, name string, do func(ctx context.Context, z *zone) error) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	apex, err := p.zones.find(ctx, name)
	if err != nil {
		return err
	}
	z := &zone{api: p.api, apex: apex + ".", name: libdns.RelativeName(name, apex)}
	if err = z.read(ctx); err == nil {
		err = do(ctx, z)
	}
	if err != nil {
		return fmt.Errorf("changing %s in the zone %s at %s: %w", name, apex, p.name, hinted(err))
	}
	return nil
}

// zone is where one change is made.
type zone struct {
	api   api
	apex  string   // with the final dot, as libdns wants it
	name  string   // relative to it
	texts []string // what the TXT records there say
}

// read looks what is at the name.
func (z *zone) read(ctx context.Context) error {
	all, err := z.api.GetRecords(ctx, z.apex)
	if err != nil {
		return err
	}
	z.texts = nil
	for _, one := range all {
		if rr := one.RR(); rr.Type == "TXT" && strings.EqualFold(rr.Name, z.name) {
			// Some join the strings of a record, and some leave the seams.
			z.texts = append(z.texts, strings.ReplaceAll(rr.Data, `" "`, ""))
		}
	}
	return nil
}

// set makes text the one TXT record at the name, and looks whether it is.
func (z *zone) set(ctx context.Context, text string, ttl time.Duration) error {
	if _, err := z.api.SetRecords(ctx, z.apex,
		[]libdns.Record{libdns.TXT{Name: z.name, TTL: ttl, Text: text}}); err != nil {
		return err
	}
	if err := z.read(ctx); err != nil {
		return err
	}
	if len(z.texts) != 1 || z.texts[0] != text && !same(z.texts[0], text) {
		return fmt.Errorf("it says that all went well, and has %q there", z.texts)
	}
	return nil
}

// delete takes a short text away, and looks whether it is gone.
func (z *zone) delete(ctx context.Context, text string) error {
	if _, err := z.api.DeleteRecords(ctx, z.apex, []libdns.Record{libdns.TXT{Name: z.name, Text: text}}); err != nil {
		return err
	}
	if err := z.read(ctx); err != nil {
		return err
	}
	if len(z.texts) > 0 {
		return fmt.Errorf("it says that all went well, and still has %q there", z.texts)
	}
	return nil
}

// hinted adds what to do about the errors that come most often.
func hinted(err error) error {
	text := err.Error()
	var network net.Error
	switch {
	case errors.As(err, &network):
		return err
	case strings.Contains(text, "401"), strings.Contains(text, "403"), strings.Contains(text, "Authentication"):
		return finding.WithHint(err, "the credentials must be good, and allow to read and to edit the zone")
	}
	return err
}
