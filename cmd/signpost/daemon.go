package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore/finding"
	"signpost/keystore/rotation"
	"signpost/milter"
	"signpost/milter/status/view"
)

// daemonFlag has a verb ask a running signpostd, which knows what the DNS said
// before and what it signs with.
func daemonFlag() cli.Flag { return settings.Named("daemon").Flag() }

// daemon is a running signpostd. Its errors have an exit code.
type daemon struct{ client *view.Client }

// openDaemon returns the signpostd that --daemon names, nil without it.
func openDaemon(c *cli.Context) (*daemon, error) {
	text := strings.TrimSuffix(strings.TrimPrefix(c.String("daemon"), "http://"), "/")
	if text == "" {
		return nil, nil
	}
	address, err := milter.ParseHTTP(text)
	if err != nil {
		return nil, usageError("--daemon: %w", err)
	}
	return &daemon{view.NewClient(address.Local(), c.Duration("timeout"))}, nil
}

// domains returns the domains in the order of their names, or all when none are named.
// The view has no more than the domains when some are named.
func (d *daemon) domains(ctx context.Context, names []string) (*view.View, error) {
	if names == nil {
		all, err := d.client.All(ctx)
		return all, d.notAsked(err)
	}
	some := new(view.View)
	for _, name := range slices.Sorted(slices.Values(names)) {
		domain, err := d.client.Domain(ctx, name)
		if err != nil {
			return nil, d.notAsked(err)
		}
		some.Domains = append(some.Domains, domain)
	}
	return some, nil
}

func (d *daemon) stages(ctx context.Context, name string) (map[string]rotation.Stage, error) {
	stages, err := d.client.Stages(ctx, name)
	return stages, d.notAsked(err)
}

// notAsked adds the exit code and, when nothing answered, a hint.
func (d *daemon) notAsked(err error) error {
	if err == nil {
		return nil
	}
	var unanswered *url.Error
	if errors.As(err, &unanswered) {
		// Without the URL, whose host is none.
		err = finding.WithHint(fmt.Errorf("asking signpostd at %s: %w", d.client.Address, unanswered.Err),
			"is it running, with its status page (--http) there?")
	}
	return exitError{exitUnknown, err}
}
