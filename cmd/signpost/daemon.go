package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/rotation"
	"signpost/milter"
)

// daemonFlag has a verb ask a running signpostd, which knows what the DNS said
// before and what it signs with.
func daemonFlag() cli.Flag { return settings.Named("daemon").Flag() }

// daemon is a running signpostd, as its status page tells.
type daemon struct {
	address milter.Address
	client  *http.Client
}

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
	address = address.Local()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, address.Network, address.Address)
	}
	return &daemon{address, &http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: c.Duration("timeout")}}, nil
}

// daemonView is what is needed of /status.json.
type daemonView struct {
	Version  string                 `json:"version"`
	Ready    bool                   `json:"ready"`
	NotReady []string               `json:"not_ready"`
	Misfits  []string               `json:"misfits"`
	Keys     map[rotation.Stage]int `json:"keys"`
	Pages    int                    `json:"pages"`
	Domains  []daemonDomain         `json:"domains"`
}

type daemonDomain struct {
	Name     string      `json:"domain"`
	Problems []string    `json:"problems"`
	Keys     []daemonKey `json:"keys"` // the newest first
}

type daemonKey struct {
	Selector  string             `json:"selector"`
	Algorithm keystore.Algorithm `json:"algorithm"`
	Bits      int                `json:"bits"`
	File      string             `json:"file"`
	Stage     rotation.Stage     `json:"stage"`
	Since     time.Time          `json:"since"`
	Made      time.Time          `json:"made"`
	Evidence  string             `json:"evidence"`
	Failure   string             `json:"failure"`
	Publish   bool               `json:"publish"`
	Advice    string             `json:"advice"`
}

// dns is what the daemon knows of the DNS, in words.
func (k daemonKey) dns() string {
	switch {
	case k.Failure == "":
		return k.Evidence
	case k.Evidence == "":
		return k.Failure
	}
	return k.Evidence + "; not known now: " + k.Failure
}

// look returns what the daemon says of the domains, or of all when none are named,
// in the order of their names.
func (d *daemon) look(ctx context.Context, domains []string) (*daemonView, error) {
	view := new(daemonView)
	if domains == nil {
		var err error
		if view, err = d.all(ctx); err != nil {
			return nil, err
		}
	}
	for _, name := range domains {
		domain, err := d.domain(ctx, name)
		if err != nil {
			return nil, err
		}
		view.Domains = append(view.Domains, domain)
	}
	slices.SortFunc(view.Domains, func(a, b daemonDomain) int { return strings.Compare(a.Name, b.Name) })
	return view, nil
}

// all returns what the daemon says of every domain, in no order.
func (d *daemon) all(ctx context.Context) (*daemonView, error) {
	whole := &daemonView{Pages: 1}
	for page := 1; page <= whole.Pages; page++ {
		view, err := d.ask(ctx, url.Values{"limit": {"1000"}, "page": {strconv.Itoa(page)}})
		if err != nil {
			return nil, err
		}
		view.Domains = append(whole.Domains, view.Domains...)
		whole = view
	}
	return whole, nil
}

// domain returns what the daemon says of a domain, whose keys may be none.
func (d *daemon) domain(ctx context.Context, name string) (daemonDomain, error) {
	view, err := d.ask(ctx, url.Values{"domain": {name}})
	if err != nil || len(view.Domains) == 0 {
		return daemonDomain{Name: name}, err
	}
	return view.Domains[0], nil
}

// stages returns how far the keys of a domain are for the daemon, by selector.
func (d *daemon) stages(ctx context.Context, name string) (map[string]rotation.Stage, error) {
	domain, err := d.domain(ctx, name)
	stages := make(map[string]rotation.Stage)
	for _, key := range domain.Keys {
		if key.Selector != "" {
			stages[key.Selector] = key.Stage
		}
	}
	return stages, err
}

// mostOfDaemon bounds an answer: a thousand domains with a few keys each are 2 MB.
const mostOfDaemon = 64 << 20

func (d *daemon) ask(ctx context.Context, query url.Values) (*daemonView, error) {
	fail := func(err error) (*daemonView, error) {
		return nil, exitError{exitUnknown, fmt.Errorf("asking signpostd at %s: %w", d.address, err)}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://signpostd/status.json?"+query.Encode(), nil)
	if err != nil {
		return fail(err)
	}
	answer, err := d.client.Do(request)
	if err != nil {
		return fail(finding.WithHint(err,
			"is it running, with its status page (--http) there?"))
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 300))
		return fail(fmt.Errorf("it says %s: %s", answer.Status, strings.TrimSpace(string(text))))
	}
	view := new(daemonView)
	if err := json.NewDecoder(io.LimitReader(answer.Body, mostOfDaemon)).Decode(view); err != nil {
		return fail(fmt.Errorf("its answer is no /status.json: %w", err))
	}
	return view, nil
}
