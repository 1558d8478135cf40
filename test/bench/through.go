package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"signpost/test/lab"

	"github.com/emersion/go-msgauth/dkim"
)

// throughPostfix measures all contenders behind a real Postfix, and Postfix
// without a milter, in turns.
func (b *bench) throughPostfix(manyPerSession bool) (map[string]*result, error) {
	results := map[string]*result{noMilter: {}}
	processes := make(map[string]*process)
	sockets := make(map[string]socket)
	var runners []*runner
	for _, c := range b.behindPostfix() {
		r := &runner{contender: c, result: &result{}}
		results[c.name] = r.result
		runners = append(runners, r)
		if c.name == noMilter {
			continue
		}
		p, s, err := b.start(c, []string{rsaKey}, false)
		if err != nil {
			b.fail(r, "through Postfix", err)
			continue
		}
		defer p.stop()
		if err := os.Chmod(s.address, 0o777); err != nil { // Postfix is another user
			return nil, err
		}
		r.process, processes[c.name], sockets[c.name] = p, p, s
	}
	p, err := b.startPostfix(sockets)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	for _, r := range runners {
		if r.result.cannot == "" {
			if err := p.prove(b.keys.public, r); err != nil {
				b.fail(r, "through Postfix", err)
			}
		}
	}
	for range b.rounds {
		for _, r := range runners {
			if r.result.cannot == "" {
				if err := p.round(r, manyPerSession, b.span); err != nil {
					b.fail(r, "through Postfix", err)
				}
			}
		}
	}
	return results, nil
}

// prove sends one message by way of a milter to somebody, and sees to it that
// it arrives signed. What comes later is thrown away.
func (p *postfix) prove(k keys, r *runner) error {
	if err := p.awaitPort(r.name); err != nil {
		return err
	}
	before := len(p.sink.All())
	if _, err := p.source(r.name, "reader@proof.test", 1, false); err != nil {
		return err
	}
	if !lab.Wait(20*time.Second, func() bool { return len(p.sink.All()) > before }) {
		return fmt.Errorf("a message by way of Postfix: nothing arrived: %s", p.said("proof.test"))
	}
	if err := k.verifyMessage(p.sink.All()[before].Data, r.signatures(1)); err != nil {
		return fmt.Errorf("a message by way of Postfix: %w", err)
	}
	return nil
}

// verifyMessage verifies a message that was received.
func (k keys) verifyMessage(message []byte, signatures int) error {
	results, err := dkim.VerifyWithOptions(bytes.NewReader(message), &dkim.VerifyOptions{LookupTXT: k.lookup})
	if err != nil {
		return err
	}
	if len(results) != signatures {
		return fmt.Errorf("%d signatures, want %d", len(results), signatures)
	}
	for _, result := range results {
		if result.Err != nil {
			return result.Err
		}
	}
	return nil
}

// round measures once. How many messages there are in the time is found out
// with a few; the processor time in the result is the share of the machine's,
// in percent.
func (p *postfix) round(r *runner, manyPerSession bool, span time.Duration) error {
	const few = 300
	took, err := p.source(r.name, "reader@rcpt.test", few, manyPerSession)
	if err != nil {
		return err
	}
	if err := p.awaitQueue(); err != nil {
		return err
	}
	used := func() (time.Duration, error) {
		if r.process == nil {
			return 0, nil
		}
		return r.process.cpu()
	}
	before, err := used()
	if err != nil {
		return err
	}
	messages := max(few, int(few*span.Seconds()/took.Seconds()))
	took, err = p.source(r.name, "reader@rcpt.test", messages, manyPerSession)
	if err != nil {
		return err
	}
	after, err := used()
	if err != nil {
		return err
	}
	r.result.rates = append(r.result.rates, float64(messages)/took.Seconds())
	r.result.cpu = append(r.result.cpu, 100*float64(after-before)/float64(took)/float64(runtime.NumCPU()))
	return p.awaitQueue()
}

// awaitQueue waits until the queue is empty, so that each run has the machine
// for itself.
func (p *postfix) awaitQueue() error {
	var waiting int
	if lab.Wait(time.Minute, func() bool {
		waiting = 0
		for _, queue := range []string{"maildrop", "incoming", "active", "deferred"} {
			filepath.Walk(filepath.Join(p.Queue, queue), func(_ string, info os.FileInfo, err error) error {
				if err == nil && info.Mode().IsRegular() {
					waiting++
				}
				return nil
			})
		}
		return waiting == 0
	}) {
		return nil
	}
	return fmt.Errorf("%d messages stay in the queue: %s", waiting, p.said("status="))
}
