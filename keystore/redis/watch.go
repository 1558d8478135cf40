package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/redis/internal/resp"
)

// aliveEvery is how often the connections of Watch are tried, and whether they are still to
// the server that has the hashes.
const aliveEvery = 5 * time.Second

// settle is how long changes are collected before they are looked at.
const settle = 20 * time.Millisecond

// Watch reports changes by client-side tracking (Redis 6 and later, Valkey), or where the user
// may not use that by keyspace notifications, where they are on. Either says only that a hash has
// changed. So the names are listed again, and the server computes the digests of the
// keys that were read; both take at most a twentieth of its time when changes come
// without end. Watch returns when a connection fails or another server has taken over.
func (b *Backend) Watch(ctx context.Context, ready func(), changed func(domains ...string)) error {
	h, ok, err := b.layout(ctx)
	if err != nil {
		return b.explain(err)
	}
	if !ok {
		return b.awaitLayout(ctx, ready, changed)
	}
	events := make(chan struct{}, 1)
	n := b.names
	event := func(message any) {
		n.reported(ofHash(message, h.keys))
		select {
		case events <- struct{}{}:
		default:
		}
	}
	feeds, err := b.openFeeds(ctx, h, event)
	if err != nil {
		return b.explainWatch(err)
	}
	defer func() {
		for _, f := range feeds {
			_ = f.link.Close()
		}
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel(nil)
	n.setWatched(true)
	defer n.setWatched(false)
	ready()
	for _, f := range feeds {
		running.Go(func() { cancel(f.follow(ctx)) })
	}
	if err = b.report(ctx, events, changed); ctx.Err() != nil {
		if err = context.Cause(ctx); errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
	return b.explain(err)
}

// setWatched begins with what is known of the names in doubt.
func (n *names) setWatched(on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.watched, n.dirty = on, time.Now()
	n.reselect = n.dirty
	clear(n.pending)
}

// awaitLayout waits for a store without keys to get some.
func (b *Backend) awaitLayout(ctx context.Context, ready func(), changed func(domains ...string)) error {
	ready()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(namesFor / 2):
		}
		if _, ok, err := b.layout(ctx); err != nil {
			return b.explain(err)
		} else if ok {
			changed()
			return finding.WithHint(fmt.Errorf("%s: it has its first keys", b.Name()), "it is watched again")
		}
	}
}

// report looks at what has changed after each event.
func (b *Backend) report(ctx context.Context, events <-chan struct{}, changed func(domains ...string)) error {
	var due <-chan time.Time // when digests are compared that were put off
	var comparing allowance
	compare := func() error {
		began := time.Now()
		err := b.compare(ctx)
		comparing.spend(time.Now(), time.Since(began))
		b.pass(changed)
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-due:
			due = nil
			if err := compare(); err != nil {
				return err
			}
		case <-events:
			if err := sleep(ctx, settle); err != nil {
				return err
			}
			began := time.Now()
			if err := b.refresh(ctx, began); err != nil {
				return err
			}
			b.pass(changed)
			took := time.Since(began)
			if wait := comparing.wait(time.Now()); wait > 0 {
				due = time.After(wait)
			} else if err := compare(); err != nil {
				return err
			}
			// A busy server is not kept busy by us.
			if err := sleep(ctx, min(share*took, mostWait)); err != nil {
				return err
			}
		}
	}
}

// saved is of how long an allowance is saved up: so after quiet minutes some keys that are
// written one after the other are each compared at once.
const saved = 2 * time.Minute

// allowance bounds what something takes to a share of all time.
type allowance struct{ next time.Time }

// wait returns in what time it may be done again.
func (a *allowance) wait(now time.Time) time.Duration { return a.next.Sub(now) }

// spend notes that it took so long.
func (a *allowance) spend(now time.Time, took time.Duration) {
	if oldest := now.Add(-saved); a.next.Before(oldest) {
		a.next = oldest
	}
	a.next = a.next.Add(min(share*took, fullEvery))
}

func (b *Backend) pass(changed func(domains ...string)) {
	if domains := b.names.drain(); len(domains) > 0 {
		changed(domains...)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// feed is a connection on which a server reports changes of hashes.
type feed struct {
	b      *Backend
	link   *link
	hashes []string
	event  func(message any)
}

// openFeeds connects to the servers of the hashes: mostly one.
func (b *Backend) openFeeds(ctx context.Context, h hashes, event func(message any)) (feeds []*feed, err error) {
	defer func() {
		if err != nil {
			for _, f := range feeds {
				_ = f.link.Close()
			}
			feeds = nil
		}
	}()
	for _, hash := range []string{h.keys, h.selectors} {
		if hash == "" {
			continue
		}
		// So the server of the hash is known.
		if _, err = b.servers.do(ctx, hash, false, resp.Command{"EXISTS", hash}); err != nil {
			return feeds, err
		}
		addr, err := b.servers.locate(ctx, hash)
		if err != nil {
			return feeds, err
		}
		if len(feeds) > 0 && feeds[0].link.addr == addr {
			feeds[0].hashes = append(feeds[0].hashes, hash)
			continue
		}
		l, err := b.servers.open(ctx, addr, func(p resp.Push) { event(p) })
		if err != nil {
			return feeds, err
		}
		feeds = append(feeds, &feed{b, l, []string{hash}, event})
	}
	for _, f := range feeds {
		if err = f.begin(ctx); err != nil {
			return feeds, err
		}
	}
	return feeds, nil
}

// begin makes the server report changes.
func (f *feed) begin(ctx context.Context) error {
	tracking := resp.Error("not in RESP2")
	if f.link.resp3 {
		command := resp.Command{"CLIENT", "TRACKING", "ON", "BCAST"}
		for _, hash := range f.hashes {
			if !f.hasPrefixOf(hash) {
				command = append(command, "PREFIX", hash)
			}
		}
		replies, err := f.link.Do(ctx, command)
		if err != nil {
			return err
		}
		refused, ok := replies[0].(resp.Error)
		if !ok {
			return nil
		}
		tracking = refused
	}
	return f.subscribe(ctx, tracking)
}

// hasPrefixOf reports whether a hash is reported with another one already, as dkim_keys2 is with
// dkim_keys: the server refuses both.
func (f *feed) hasPrefixOf(hash string) bool {
	for _, other := range f.hashes {
		if other != hash && strings.HasPrefix(hash, other) {
			return true
		}
	}
	return false
}

// subscribe subscribes to keyspace notifications, where they are on.
func (f *feed) subscribe(ctx context.Context, tracking resp.Error) error {
	const setting = "notify-keyspace-events"
	replies, err := f.link.Do(ctx, resp.Command{"CONFIG", "GET", setting})
	if err != nil {
		return err
	}
	const advice = "let the user use CLIENT TRACKING, or CONFIG GET with " + setting + " set to Khg; " +
		"until then changes are found at each rescan"
	pair, _ := replies[0].([]any)
	if len(pair) != 2 {
		return finding.WithHint(fmt.Errorf("%w: %s", keystore.ErrNoWatch, tracking), advice)
	}
	events, _ := resp.Text(pair[1])
	all := strings.Contains(events, "A")
	if !strings.Contains(events, "K") || !all && !(strings.Contains(events, "h") && strings.Contains(events, "g")) {
		return finding.WithHint(fmt.Errorf("%w: %s is %q", keystore.ErrNoWatch, setting, events), advice)
	}
	for _, hash := range f.hashes {
		channel := fmt.Sprintf("__keyspace@%d__:%s", f.b.servers.db, hash)
		if err := f.link.Send(ctx, resp.Command{"SUBSCRIBE", channel}); err != nil {
			return err
		}
		reply, err := f.link.Wait(ctx, commandWithin)
		if err != nil {
			return err
		}
		if refused, ok := reply.(resp.Error); ok {
			return finding.WithHint(fmt.Errorf("%w: %w", keystore.ErrNoWatch, refused), advice)
		}
	}
	return nil
}

// follow passes on what the server reports until it fails.
func (f *feed) follow(ctx context.Context) error {
	for asked := false; ; {
		reply, err := f.link.Wait(ctx, aliveEvery)
		if err != nil {
			return err
		}
		switch reply := reply.(type) {
		case nil:
			if asked {
				return fmt.Errorf("%s: %w", f.link.addr, errSilent)
			}
			if err := f.stillThere(ctx); err != nil {
				return err
			}
			if err := f.link.Send(ctx, resp.Command{"PING"}); err != nil {
				return err
			}
			asked = true
			continue
		case resp.Error:
			return reply
		case resp.Push:
			f.event(reply)
		case []any: // in RESP2 a notification, or the answer to PING
			if len(reply) == 0 || !resp.Equal(reply[0], "pong") {
				f.event(reply)
			}
		}
		asked = false
	}
}

// ofHash reports whether what the server reported is a change of that hash alone: an
// invalidation of it, or a notification on its channel.
func ofHash(message any, hash string) bool {
	var list []any
	switch message := message.(type) {
	case resp.Push:
		list = message
	case []any:
		list = message
	}
	if len(list) < 2 {
		return false
	}
	if resp.Equal(list[0], "invalidate") {
		keys, ok := list[1].([]any)
		return ok && len(keys) == 1 && resp.Equal(keys[0], hash)
	}
	channel, ok := resp.Text(list[1])
	return ok && resp.Equal(list[0], "message") && strings.HasSuffix(channel, "__:"+hash)
}

var errSilent = errors.New("the server does not answer")

// stillThere returns an error where another server has the hashes now.
func (f *feed) stillThere(ctx context.Context) error {
	s := f.b.servers
	for _, hash := range f.hashes {
		if s.kind == sentinel {
			master, err := s.askSentinels(ctx)
			if err == nil && master != f.link.addr {
				return fmt.Errorf("%s is the master now", master)
			}
		} else if addr, err := s.locate(ctx, hash); s.kind == cluster && err == nil && addr != f.link.addr {
			return fmt.Errorf("%s has %s now", addr, hash)
		}
	}
	return nil
}

// explainWatch keeps ErrNoWatch, for which nothing is wrong with the store.
func (b *Backend) explainWatch(err error) error {
	if errors.Is(err, keystore.ErrNoWatch) {
		return fmt.Errorf("%s: %w", b.Name(), err)
	}
	return b.explain(err)
}
