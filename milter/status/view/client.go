package view

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

	"signpost/keystore/finding"
	"signpost/keystore/rotation"
	"signpost/milter"
)

// maxAnswer bounds an answer: a thousand domains with a few keys each are 2 MB.
const maxAnswer = 64 << 20

// Client reads the status of a running signpostd. An error of it that wraps a
// *url.Error means that nothing answered.
type Client struct {
	Address milter.Address
	http    *http.Client
}

// NewClient returns a client of the status page at an address. Each request takes
// no longer than the timeout.
func NewClient(address milter.Address, timeout time.Duration) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, address.Network, address.Address)
	}
	return &Client{address, &http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: timeout}}
}

// Overview returns the view with no more than one domain.
func (c *Client) Overview(ctx context.Context) (*View, error) {
	return c.get(ctx, url.Values{"limit": {"1"}})
}

// All returns the view with every domain, in the order of their names.
func (c *Client) All(ctx context.Context) (*View, error) {
	whole := &View{Pages: 1}
	for page := 1; page <= whole.Pages; page++ {
		view, err := c.get(ctx, url.Values{"limit": {"1000"}, "page": {strconv.Itoa(page)}})
		if err != nil {
			return nil, err
		}
		view.Domains = append(whole.Domains, view.Domains...)
		whole = view
	}
	slices.SortFunc(whole.Domains, func(a, b Domain) int { return strings.Compare(a.Name, b.Name) })
	return whole, nil
}

// Domain returns one domain. One that signpostd does not know has no keys.
func (c *Client) Domain(ctx context.Context, name string) (Domain, error) {
	view, err := c.get(ctx, url.Values{"domain": {name}})
	if err != nil || len(view.Domains) == 0 {
		return Domain{Name: name}, err
	}
	return view.Domains[0], nil
}

// Stages returns the stages of a domain's keys, by selector: of those with one name
// that of the newest, for the others were replaced in their files.
func (c *Client) Stages(ctx context.Context, name string) (map[string]rotation.Stage, error) {
	domain, err := c.Domain(ctx, name)
	stages := make(map[string]rotation.Stage)
	for _, key := range domain.Keys {
		if _, newer := stages[key.Selector]; key.Selector != "" && !newer {
			stages[key.Selector] = key.Stage
		}
	}
	return stages, err
}

func (c *Client) get(ctx context.Context, query url.Values) (*View, error) {
	view, err := c.read(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("asking signpostd at %s: %w", c.Address, err)
	}
	return view, nil
}

func (c *Client) read(ctx context.Context, query url.Values) (*View, error) {
	address := "http://signpostd/status.json?" + query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 300))
		return nil, fmt.Errorf("it says %s: %w",
			answer.Status, finding.ParseError(strings.TrimSpace(string(text))))
	}
	view := new(View)
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(view); err != nil {
		return nil, fmt.Errorf("its answer is not that of /status.json: %w", err)
	}
	return view, nil
}
