package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/urfave/cli/v2"
)

// maxAtOnce is how many domains are worked on at once, where that is mostly waiting.
const maxAtOnce = 16

// A batch is a command at work on many domains. When it is stopped it begins no other,
// and knows which it did not come to.
type batch struct {
	c        *cli.Context
	did      string // as in "checked 3 of 5"
	domains  []string
	progress *progress
	undone   []string
}

// newBatch begins with domains. did is what becomes of each, bad what may be wrong
// with some.
func newBatch(c *cli.Context, did, bad string, domains []string) *batch {
	return &batch{c: c, did: did, domains: domains, progress: newProgress(c, did, bad, len(domains))}
}

// outcome is what became of a domain in a batch.
type outcome int

const (
	good outcome = iota
	bad
	undone // it was stopped in the middle, and what is known of it means nothing
)

// results does something for each domain of a batch, some at once, and yields the
// results in the order of the domains.
func results[R any](b *batch, atOnce int, do func(domain string) (R, outcome)) iter.Seq[R] {
	type result struct {
		domain string
		R      R
		outcome
	}
	one := func(domain string) result {
		if b.c.Context.Err() != nil {
			return result{domain: domain, outcome: undone}
		}
		r, outcome := do(domain)
		if outcome != undone {
			b.progress.add(outcome == bad)
		}
		return result{domain, r, outcome}
	}
	return func(yield func(R) bool) {
		defer b.progress.end()
		defer context.AfterFunc(b.c.Context, b.progress.stop)()
		for r := range inOrder(b.domains, atOnce, one) {
			more := true
			if r.outcome == undone {
				b.undone = append(b.undone, r.domain)
			} else {
				b.progress.show(func() { more = yield(r.R) })
			}
			if !more {
				return
			}
		}
	}
}

// stopped says how far a batch came that was stopped; nil for one that was not.
func (b *batch) stopped() error {
	if len(b.undone) == 0 {
		return nil
	}
	const most = 3
	names := strings.Join(b.undone[:min(len(b.undone), most)], ", ")
	if more := len(b.undone) - most; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Errorf("stopped: %s %d of %d domains, and not %s", b.did, len(b.domains)-len(b.undone),
		len(b.domains), names)
}

// stoppedBy is the cause of a context that a signal ended.
type stoppedBy struct{ signal os.Signal }

func (s stoppedBy) Error() string { return "stopped by a signal: " + s.signal.String() }

// stopCode is the exit code of a program that was stopped, as shells have it.
func stopCode(ctx context.Context) int {
	const signalled = 128
	if by := (stoppedBy{}); errors.As(context.Cause(ctx), &by) {
		if number, ok := by.signal.(syscall.Signal); ok {
			return signalled + int(number)
		}
	}
	return signalled + int(syscall.SIGINT)
}

// inOrder calls do for each item, several at once, and yields the results in
// the order of the items. It holds only some of them, however many there are.
func inOrder[T, R any](items []T, atOnce int, do func(T) R) iter.Seq[R] {
	// Results that wait for one before them must not keep others from being made.
	const mostWaiting = 1000
	return func(yield func(R) bool) {
		results := make(chan chan R, mostWaiting)
		slots := make(chan struct{}, atOnce)
		stop := make(chan struct{})
		var starting sync.WaitGroup
		starting.Go(func() {
			defer close(results)
			for _, item := range items {
				result := make(chan R, 1)
				select {
				case slots <- struct{}{}:
				case <-stop:
					return
				}
				go func() {
					result <- do(item)
					<-slots
				}()
				select {
				case results <- result:
				case <-stop:
					return
				}
			}
		})
		defer starting.Wait()
		defer close(stop)
		for result := range results {
			if !yield(<-result) {
				return
			}
		}
	}
}
