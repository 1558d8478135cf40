package rotation

import (
	"crypto/rand"
	"sync"
)

// mostNews is how many findings are kept: those of ten minutes and more. Who comes
// later takes everything.
const mostNews = 8192

// recent is what this node has found lately, in the order of it.
type recent struct {
	mu      sync.Mutex
	epoch   string // of this process
	next    uint64 // number of the finding to come
	entries []Finding
}

// newsMark is a place among them: all that came before it is known.
type newsMark struct {
	epoch string
	next  uint64
}

func newEpoch() string { return rand.Text()[:12] }

// add notes a finding.
func (j *recent) add(f Finding) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.entries) == 2*mostNews {
		j.entries = append(j.entries[:0], j.entries[mostNews:]...)
	}
	j.entries = append(j.entries, f)
	j.next++
}

// since returns what came after a place, and the place that comes next. Where it does
// not go back that far, it reports false.
func (j *recent) since(m newsMark) (news []Finding, now newsMark, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now = newsMark{j.epoch, j.next}
	back := j.next - m.next
	if m.epoch != j.epoch || m.next > j.next || back > uint64(len(j.entries)) {
		return nil, now, false
	}
	return append(news, j.entries[uint64(len(j.entries))-back:]...), now, true
}

// latest returns what came after a place as far as it is there.
func (j *recent) latest(m newsMark) (news []Finding, now newsMark) {
	j.mu.Lock()
	oldest := newsMark{j.epoch, j.next - uint64(len(j.entries))}
	j.mu.Unlock()
	if m.epoch != oldest.epoch || m.next < oldest.next {
		m = oldest
	}
	news, now, _ = j.since(m)
	return news, now
}
