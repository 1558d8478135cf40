package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// progress is one line on standard error that says how far a command has come with
// many domains. It is there for somebody who waits at a terminal, and for nobody else.
type progress struct {
	did, bad string // as in "checked 3 of 5, 1 with faults"
	total    int    // or unknownTotal
	started  time.Time
	screen   *os.File // nil: nothing is shown

	mu        sync.Mutex
	done, ill int
	stopping  bool
	drawn     time.Time
}

// unknownTotal is for work of which nobody knows how much there is.
const unknownTotal = -1

func newProgress(c *cli.Context, did, bad string, total int) *progress {
	p := &progress{did: did, bad: bad, total: total, started: time.Now()}
	screen, ok := c.App.ErrWriter.(*os.File)
	if ok && (total > 1 || total == unknownTotal) && !c.Bool("json") &&
		os.Getenv("CI") == "" && os.Getenv("TERM") != "dumb" &&
		term.IsTerminal(int(screen.Fd())) {
		p.screen = screen
	}
	p.show(func() {})
	return p
}

// add counts a domain that is done.
func (p *progress) add(ill bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	if ill {
		p.ill++
	}
	const often = 100 * time.Millisecond
	if time.Since(p.drawn) >= often {
		p.draw()
	}
}

// show prints what others have to say, above the line.
func (p *progress) show(what func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	what()
	p.draw()
}

// stop says that the rest will not be done.
func (p *progress) stop() { p.show(func() { p.stopping = true }) }

// end takes the line away.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	p.screen = nil
}

func (p *progress) erase() {
	if p.screen != nil {
		io.WriteString(p.screen, "\r\x1b[K")
	}
}

// draw writes the line anew. It must fit, for a terminal erases only one.
func (p *progress) draw() {
	if p.screen == nil {
		return
	}
	p.drawn = time.Now()
	line := p.String()
	if width, _, err := term.GetSize(int(p.screen.Fd())); err == nil && width > 0 {
		line = line[:min(len(line), width-1)]
	}
	io.WriteString(p.screen, "\r"+line+"\x1b[K")
}

func (p *progress) String() string {
	line := fmt.Sprintf("%s %d", p.did, p.done)
	if p.total != unknownTotal {
		line += fmt.Sprintf(" of %d", p.total)
	}
	if p.ill > 0 {
		line += fmt.Sprintf(", %d %s", p.ill, p.bad)
	}
	if p.stopping {
		return line + ", stopping after what has begun; Ctrl-C again ends at once"
	}
	if spent := time.Since(p.started); spent > time.Second && p.done > 0 && p.total != unknownTotal {
		left := spent / time.Duration(p.done) * time.Duration(p.total-p.done)
		unit, name := time.Second, "s"
		if left > 2*time.Minute {
			unit, name = time.Minute, "min"
		}
		line += fmt.Sprintf(", %d %s left", left/unit, name)
	}
	return line
}
