package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

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
	before, _ := filepath.Glob(p.dump + "/*")
	if _, err := p.source(r.name, "reader@proof.test", 1, false); err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		after, _ := filepath.Glob(p.dump + "/*")
		var err error = fmt.Errorf("nothing arrived: %s", p.said("proof.test"))
		for _, path := range after[min(len(before), len(after)):] {
			err = k.verifyFile(path, r.signatures(1))
		}
		if err == nil {
			for _, path := range after {
				os.Remove(path)
			}
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("a message by way of Postfix: %w", err)
		}
	}
}

// verifyFile verifies a message with LF line ends that was received.
func (k keys) verifyFile(path string, signatures int) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	content = bytes.ReplaceAll(content, []byte("\n"), []byte("\r\n"))
	results, err := dkim.VerifyWithOptions(bytes.NewReader(content), &dkim.VerifyOptions{LookupTXT: k.lookup})
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
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var waiting []string
		for _, queue := range []string{"maildrop", "incoming", "active", "deferred"} {
			filepath.Walk(filepath.Join(p.queue, queue), func(path string, info os.FileInfo, err error) error {
				if err == nil && info.Mode().IsRegular() {
					waiting = append(waiting, path)
				}
				return nil
			})
		}
		if len(waiting) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d messages stay in the queue: %s", len(waiting), strings.TrimSpace(p.said("status=")))
		}
	}
}
