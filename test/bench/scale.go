package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// flat and folder are the layouts of a key directory: DOMAIN.private, and
// DOMAIN/SELECTOR.private.
const (
	flat   = "flat"
	folder = "folder"
)

// flatSelector is what signpostd takes keys in the flat layout for.
const flatSelector = "mail"

// A scale is what signpostd does with that many domains.
type scale struct {
	daemon  string
	domains int
	layout  string

	first    time.Duration // from the start of the process to the first signature
	drop     time.Duration // from a dropped key file to the first signature by it
	idle     float64       // resident memory when nothing happens any more, in MiB
	reloaded float64       // the same after SIGHUP
	peak     float64       // at any time, in MiB
	settled  time.Duration // from the start until nothing happens any more
	watches  int
	rates    map[string][]float64 // messages per second, by round, for the first, last and a random domain
}

// domain is the name of a domain by number.
func domain(n int) string { return fmt.Sprintf("d%06d.bench.example", n) }

// keyDirectory makes a key directory for domains 0 to n-1. They share a few
// keys, for making one takes long; a daemon cannot know.
func (b *bench) keyDirectory(n int, layout string) (dir string, err error) {
	const distinct = 16
	dir, err = b.folder("keys")
	if err != nil {
		return "", err
	}
	var public []crypto.PublicKey
	b.scaleFiles = nil
	for range distinct {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return "", err
		}
		content, err := keyPEM(key)
		if err != nil {
			return "", err
		}
		public, b.scaleFiles = append(public, key.Public()), append(b.scaleFiles, content)
	}
	b.scaleKeys = func(name string) crypto.PublicKey {
		var n int
		fmt.Sscanf(name, flatSelector+"._domainkey.d%d.", &n)
		return public[n%distinct]
	}
	for i := range n {
		if err := b.addKey(dir, layout, i); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// addKey drops in the key of a domain, by rename.
func (b *bench) addKey(dir, layout string, n int) error {
	path := filepath.Join(dir, domain(n)+".private")
	if layout == folder {
		path = filepath.Join(dir, domain(n), flatSelector+".private")
		if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
			return err
		}
	}
	temporary := filepath.Join(b.dir, "new.private")
	if err := os.WriteFile(temporary, b.scaleFiles[n%len(b.scaleFiles)], 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// scale measures a build of signpostd with that many domains.
func (b *bench) scale(name, program string, domains int, layout string) (*scale, error) {
	sc := &scale{daemon: name, domains: domains, layout: layout, rates: make(map[string][]float64)}
	keys, err := b.keyDirectory(domains, layout)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(keys)
	s := socket{"unix", keys + ".sock"}
	p, err := startSignpostd(keys+".log", program, keys, s, "--selector="+flatSelector)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	if sc.first, err = b.awaitSignature(p, s, domains-1, p.started); err != nil {
		return nil, err
	}
	if err := p.awaitQuiet(); err != nil {
		return nil, err
	}
	sc.settled = time.Since(p.started) - quiet
	if sc.idle, err = p.memory("VmRSS"); err != nil {
		return nil, err
	}
	sc.watches = p.watches()

	if err := b.scaleRates(sc, p, s); err != nil {
		return nil, err
	}

	start := time.Now()
	if err := b.addKey(keys, layout, domains); err != nil {
		return nil, err
	}
	if sc.drop, err = b.awaitSignature(p, s, domains, start); err != nil {
		return nil, err
	}
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return nil, err
	}
	if err := p.awaitQuiet(); err != nil {
		return nil, err
	}
	if sc.reloaded, err = p.memory("VmRSS"); err != nil {
		return nil, err
	}
	sc.peak, err = p.memory("VmHWM")
	return sc, err
}

// scaleRates measures the first, the last and a random domain in turns.
func (b *bench) scaleRates(sc *scale, p *process, s socket) error {
	pick := map[string]func() int{
		"first":  func() int { return 0 },
		"last":   func() int { return sc.domains - 1 },
		"random": func() int { return mathrand.IntN(sc.domains) },
	}
	generators := make(map[string]*generator)
	for which, number := range pick {
		generators[which] = newGenerator(load{sessions: 8, size: 4 << 10, perConnection: 1, signatures: 1,
			domain: func() string { return domain(number()) }}, b.scaleKeys, s.network, s.address)
	}
	for range b.rounds {
		for _, which := range []string{"first", "last", "random"} {
			if _, err := generators[which].run(b.warm, p.cpu); err != nil {
				return fmt.Errorf("%s domain: %w", which, err)
			}
			m, err := generators[which].run(b.span/2, p.cpu)
			if err != nil {
				return fmt.Errorf("%s domain: %w", which, err)
			}
			sc.rates[which] = append(sc.rates[which], m.rate)
		}
	}
	return nil
}

// lastToFirst is the ratio of the last domain's messages per second to the
// first's, the median of those within a round.
func (sc *scale) lastToFirst() float64 {
	return ratio(&result{rates: sc.rates["last"]}, &result{rates: sc.rates["first"]})
}
