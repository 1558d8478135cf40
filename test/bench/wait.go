package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// patience bounds every wait for signpostd.
const patience = 3 * time.Minute

// awaitSignature sends messages of a domain until one is signed, and returns the
// time since start. The signature is verified.
func (b *bench) awaitSignature(p *process, s socket, n int, start time.Time) (time.Duration, error) {
	one := &session{network: s.network, address: s.address, mail: newMail(1 << 10), perConnection: 1,
		domain: func() string { return domain(n) }}
	for {
		added, err := one.single()
		took := time.Since(start)
		if err == nil && len(added) == 1 {
			return took, b.scaleKeys.verifyAll(one.mail, one.samples[len(one.samples)-1:])
		}
		select {
		case <-p.end:
			return 0, fmt.Errorf("signpostd ended: %s", p.lastLines())
		case <-time.After(2 * time.Millisecond):
		}
		if took > patience {
			return 0, fmt.Errorf("no signature for %s within %v: %v: %s", domain(n), patience, err, p.lastLines())
		}
	}
}

// quiet is for how long a process does nothing that is considered to be done.
const quiet = 600 * time.Millisecond

// awaitQuiet waits until the process uses no processor time to speak of.
func (p *process) awaitQuiet() error {
	last, err := p.cpu()
	since := time.Now()
	for start := since; err == nil && time.Since(since) < quiet; {
		time.Sleep(20 * time.Millisecond)
		var now time.Duration
		if now, err = p.cpu(); now-last >= 2*tick {
			last, since = now, time.Now()
		}
		if time.Since(start) > patience {
			return fmt.Errorf("signpostd is still busy after %v", patience)
		}
	}
	return err
}

// watches counts what inotify watches for the process.
func (p *process) watches() (count int) {
	infos, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", p.cmd.Process.Pid))
	for _, path := range infos {
		content, _ := os.ReadFile(path)
		count += strings.Count(string(content), "inotify wd:")
	}
	return count
}
