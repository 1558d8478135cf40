// Probe shows that mail leaves Postfix signed: it submits messages from each
// domain, receives them as the next mail server would, and verifies their
// signatures against the records in the key directory.
//
//	probe --submit mail:587 --keys /etc/opendkim/keys example.org example.net
//
// The recipient is an address literal, probe@[its own address], so neither
// DNS nor a relay is needed. With no --submit it waits for what others send.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"signpost/keystore/finding"
	"signpost/test/lab"
)

type options struct {
	submit  string        // host:port of Postfix, or nothing
	listen  string        // address:port to receive at
	keys    string        // folder with DOMAIN.txt
	count   int           // messages of each domain
	pause   time.Duration // between two of them
	domains []string
}

func main() {
	var o options
	timeout := flag.Duration("timeout", time.Minute, "give up after `duration`")
	flag.StringVar(&o.submit, "submit", "", "submit to Postfix at `host:port`; when empty, wait for what others send")
	flag.StringVar(&o.listen, "listen", "", "receive at `address:port` (default port 25 of this machine's first address)")
	flag.StringVar(&o.keys, "keys", "/etc/opendkim/keys", "`folder` with a DOMAIN.txt for each domain")
	flag.IntVar(&o.count, "count", 1, "messages from each domain")
	flag.DurationVar(&o.pause, "pause", 0, "`duration` between two messages")
	flag.Parse()
	o.domains = flag.Args()

	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "probe: error:", finding.Text(err))
		cancel()
		os.Exit(1)
	}
}

// run returns nil when count messages of every domain came in, and everything
// that came in was signed by its author's domain.
func run(ctx context.Context, o options, out io.Writer) error {
	if len(o.domains) == 0 {
		return finding.WithHint(errors.New("no domain given"), "name the domains to send from")
	}
	sink, err := openSink(o.listen)
	if err != nil {
		return err
	}
	defer sink.Stop()
	recipient := "probe@[" + sink.Addr().IP.String() + "]"
	fmt.Fprintf(out, "probe: receiving as %s\n", recipient)
	submitted := make(chan error, 1)
	if o.submit != "" {
		go func() { submitted <- submitAll(ctx, o, recipient) }()
	}
	if err := await(ctx, o, sink, submitted); err != nil {
		return err
	}
	for _, domain := range o.domains {
		fmt.Fprintf(out, "probe: %s: received %d signed, all verify\n", domain, o.count)
	}
	return nil
}

// await returns when enough good messages came in, or one that is not good.
func await(ctx context.Context, o options, sink *lab.Sink, submitted <-chan error) error {
	seen := make(map[string]map[string]bool) // domain, Message-ID: a message sent twice counts once
	missing := len(o.domains) * o.count
	for _, domain := range o.domains {
		seen[domain] = make(map[string]bool)
	}
	for judged := 0; missing > 0; {
		for _, d := range sink.All()[judged:] {
			judged++
			domain, id, err := verify(o.keys, d.Data)
			if err != nil {
				return fmt.Errorf("%w\n%s", err, d.Data)
			}
			ids := seen[domain]
			if ids != nil && len(ids) < o.count && !ids[id] {
				ids[id] = true
				missing--
			}
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case err := <-submitted:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return finding.WithHint(fmt.Errorf("%d messages did not come out in time", missing),
				"see the logs of Postfix and signpostd")
		}
	}
	return nil
}
