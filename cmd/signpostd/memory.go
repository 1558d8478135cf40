package main

import (
	"context"
	"runtime/debug"
	"time"

	"signpost/keystore"
)

// memory bounds what garbage takes, by how many keys there are.
type memory struct {
	source   keystore.Source
	revision int64
	percent  int
	reading  bool      // many keys
	giveBack time.Time // when to give back what reading took; zero for not
}

// giveBackAfter is how long after all keys were read what that took is given back: by then
// who follows the keys has seen them.
const giveBackAfter = 5 * time.Second

// manyUnread is of how many domains reading the keys takes so much that it is given back.
const manyUnread = 1000

// newMemory bounds it from now on.
func newMemory(source keystore.Source) *memory {
	m := &memory{source: source, revision: -1}
	m.settle()
	return m
}

// follow follows the keys until ctx ends.
func (m *memory) follow(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			m.settle()
			if !m.giveBack.IsZero() && now.After(m.giveBack) {
				m.giveBack = time.Time{}
				debug.FreeOSMemory()
			}
		}
	}
}

// settle goes by the keys as they are now.
func (m *memory) settle() {
	revision := m.source.Revision()
	if revision == m.revision {
		return
	}
	m.revision = revision
	domains, unread := m.source.Reading()
	if percent := garbagePercent(domains, unread); percent != m.percent {
		m.percent = percent
		debug.SetGCPercent(percent)
	}
	switch {
	case unread > manyUnread:
		m.reading = true
	case unread == 0 && m.reading:
		m.reading, m.giveBack = false, time.Now().Add(giveBackAfter)
	}
}

// garbagePercent says how much garbage may gather, as a part of what lives: with many domains
// some 8 MiB, for their keys live long and are most of the memory in use. A message makes 2 KiB
// of it. Until keys are read garbage may take half of what they will take: reading makes much of
// it, and to look through all that lives for each 8 MiB would take the processor from messages.
func garbagePercent(domains, unread int) int {
	const program, garbage, listed, key = 4 << 20, 8 << 20, 300, 700
	percent := 100 * (garbage + unread*key/2) / (program + domains*listed + (domains-unread)*key)
	if unread == 0 {
		percent = min(percent, 50)
	}
	return max(percent, 10)
}
