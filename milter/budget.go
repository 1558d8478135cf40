package milter

import (
	"runtime"
	"runtime/debug"
	"sync"
)

// reserve is what each message may take without asking, in bytes: large messages
// do not keep out small ones.
const reserve = 32 << 10

// budget bounds the memory that all messages in transit take beyond the reserve.
// What a message gives back counts until it is collected as garbage, so the bound
// holds for the process and not only on paper.
type budget struct {
	limit int

	mu        sync.Mutex
	live      int
	given     int // since the start
	collected int // of that
}

// share is what one peer has taken. The budget guards it.
type share struct{ live int }

// Parts of the budget: an eighth is spared for peers that have no more than the floor, so
// that many with large headers do not keep out the usual ones of another.
const (
	spared = 8
	floor  = 128
)

// take asks for memory. Beyond the floor, no peer gets more than is left to the others,
// so that one has at most half, and two have a third each.
func (b *budget) take(s *share, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		garbage := b.given - b.collected
		switch {
		case s.live+n > max(b.limit/floor, b.limit-b.limit/spared-(b.live+n)):
			return false
		case b.live+garbage+n <= b.limit:
			s.live += n
			b.live += n
			return true
		case garbage < b.limit/16:
			return false // not worth the time
		}
		b.collect(runtime.GC)
	}
}

// give gives memory back that is no longer referred to.
func (b *budget) give(s *share, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.live -= n
	b.live -= n
	b.given += n
	if b.live == 0 && b.given-b.collected > b.limit/16 {
		go func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.collect(debug.FreeOSMemory)
		}()
	}
}

// collect collects the garbage that there is now. The lock is let go meanwhile.
func (b *budget) collect(garbage func()) {
	given := b.given
	b.mu.Unlock()
	garbage()
	b.mu.Lock()
	b.collected = max(b.collected, given)
}

// account is what one message takes from the budget. One that is nil may take what
// it likes.
type account struct {
	budget *budget
	share  *share
	taken  int
}

func (a *account) take(n int) bool {
	if a == nil || n == 0 {
		return true
	}
	if !a.budget.take(a.share, n) {
		return false
	}
	a.taken += n
	return true
}

// close gives all of it back.
func (a *account) close() {
	if a.taken > 0 {
		a.budget.give(a.share, a.taken)
	}
	a.taken = 0
}
