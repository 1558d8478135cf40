package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/keystore/check"
	"signpost/keystore/finding"
	"signpost/milter/status/view"
	"signpost/milter/verify"
)

// defaultLists are DNSBLs that answer everybody who has a resolver of his own, and that
// many receivers use.
const defaultLists = "zen.spamhaus.org,bl.spamcop.net"

func bulkFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "dnsbl", Value: defaultLists,
			Usage: "ask these DNSBLs about the sending addresses: `ZONES` with commas between, or none"},
		&cli.StringFlag{Name: "message", Usage: "a newsletter of the domain, as it was received, is in `FILE`; - is " +
			"standard input"},
		&cli.BoolFlag{Name: "bulk", Usage: "the domain sends 5,000 messages a day: what Gmail and Yahoo ask of such " +
			"counts for the exit code"},
	}
}

// bulkOptions reads what is asked of those who send much mail.
func bulkOptions(c *cli.Context, options *check.Options, domains []string) error {
	options.ListsGiven = c.IsSet("dnsbl")
	if text := c.String("dnsbl"); text != "none" {
		for zone := range strings.SplitSeq(text, ",") {
			list, err := keystore.Domain(strings.Trim(zone, " "))
			if err != nil {
				return finding.WithHint(usageError("--dnsbl: %w", err), "give lists as %s, or none", defaultLists)
			}
			if !slices.Contains(options.Lists, list) {
				options.Lists = append(options.Lists, list)
			}
		}
	}
	name := c.String("message")
	if name == "" {
		return nil
	}
	if len(domains) != 1 {
		return finding.WithHint(usageError("--message is from one domain"), "give that domain alone")
	}
	message, err := messageFacts(c, name, options)
	options.Sender.Message = message
	return err
}

// messageFacts has a message judged as a receiver does it.
func messageFacts(c *cli.Context, name string, options *check.Options) (*check.Message, error) {
	in, shown := c.App.Reader, "standard input"
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, usageError("--message: %w", err)
		}
		defer file.Close()
		in, shown = file, name
	}
	message, err := verify.Read(in)
	if err != nil {
		return nil, usageError("--message %s: %w", name, err)
	}
	judgement := message.Judge(c.Context, verify.Options{Source: options.Resolver, Now: time.Now()})
	m := &check.Message{File: shown, From: judgement.DMARC.AuthorDomain, Aligned: check.No,
		Unsubscribe: message.Values("list-unsubscribe"), UnsubscribePost: message.Values("list-unsubscribe-post")}
	if d, ok := message.Delivery(); ok {
		m.Client, m.With, m.TLS = d.IP, d.With, d.TLS
	}
	for _, s := range judgement.Signatures {
		good := check.No
		switch s.Result {
		case verify.Pass:
			good = check.Yes
		case verify.TempError:
			good = check.NotKnown
		}
		m.Signatures = append(m.Signatures, check.Signature{Domain: s.Domain, Signed: s.Signed, Good: good, Why: s.Reason})
	}
	switch good, unknown := judgement.Good(); {
	case good:
		m.Aligned = check.Yes
	case unknown:
		m.Aligned = check.NotKnown
	}
	return m, nil
}

// signed returns how many messages of a domain signpostd signed in the last 24 hours
// and, where it does not run that long, since when it counts.
func (d *daemon) signed(ctx context.Context, name string) (uint64, time.Time, error) {
	domain, err := d.client.Domain(ctx, name)
	if err != nil {
		return 0, time.Time{}, err
	}
	if domain.Together {
		return 0, time.Time{}, errors.New("signpostd counts the messages of this domain together with those of others")
	}
	all, err := d.client.Overview(ctx)
	if err != nil {
		return 0, time.Time{}, err
	}
	since := all.Started
	if all.Now.Sub(since) >= 24*time.Hour {
		since = time.Time{}
	}
	return domain.Day.Messages(view.Signed), since, nil
}

// printBulk writes what Gmail and Yahoo ask of bulk senders, what is met in one line.
func printBulk(c *cli.Context, bulk *check.Bulk) {
	s, out := styleOf(c), c.App.Writer
	fmt.Fprintln(out, "Gmail and Yahoo ask of those who send 5,000 messages a day:")
	var met []string
	for _, ask := range bulk.Asks {
		if ask.Met == check.Yes {
			met = append(met, ask.Name)
		}
	}
	if len(met) > 0 {
		fmt.Fprintf(out, "   %s: %s\n", s.green("met"), strings.Join(met, ", "))
	}
	for _, ask := range bulk.Asks {
		word := s.paint("35", "cannot know")
		switch ask.Met {
		case check.Yes:
			continue
		case check.No:
			word = s.red("not met")
		}
		fmt.Fprintf(out, "   %s: %s: %s; %s\n", word, s.bold(ask.Name), visible(ask.What), visible(ask.Do))
	}
	if bulk.Volume != "" {
		fmt.Fprintf(out, "   volume: %s\n", visible(bulk.Volume))
	}
}

// bulkLevels are the levels that unmet demands have for the exit code.
func bulkLevels(bulk *check.Bulk) map[finding.Level]bool {
	levels := make(map[finding.Level]bool)
	if bulk == nil {
		return levels
	}
	for _, ask := range bulk.Asks {
		switch ask.Met {
		case check.No:
			levels[finding.Fault] = true
		case check.NotKnown:
			levels[finding.Unknown] = true
		}
	}
	return levels
}
