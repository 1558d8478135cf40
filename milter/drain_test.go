package milter

import (
	"context"
	"testing"
	"time"
)

// shutdown begins a shutdown and returns when the sessions know of it.
func (p *post) shutdown(within time.Duration) (done chan error) {
	p.Helper()
	done = make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		done <- p.Shutdown(ctx)
	}()
	for begun := false; !begun; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		begun = p.until != nil
		p.mu.Unlock()
	}
	return done
}

func TestShutdownFinishesMessages(t *testing.T) {
	t.Parallel()
	p := newPost(t, nil)
	busy, between := p.session(), p.session()
	p.mustSign(between, hello, "x\r\n")
	busy.begin(hello...)
	done := p.shutdown(time.Minute)

	// The one between messages has a moment to begin another.
	p.mustSign(between, hello, "y\r\n")
	signatures, _ := busy.end("z\r\n")
	if len(signatures) != 1 {
		t.Fatalf("the message under way got %d signatures", len(signatures))
	}
	p.verify(signatures[0], hello, "z\r\n")
	// Both are quiet now, and are closed long before the minute is over.
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := between.Mail("<a@example.org>", ""); err == nil {
		if _, _, err = between.End(); err == nil {
			t.Error("a session goes on after the shutdown")
		}
	}
}

func TestShutdownEndsBusySessionsBetweenMessages(t *testing.T) {
	t.Parallel()
	p := newPost(t, nil)
	m := p.session()
	p.mustSign(m, hello, "x\r\n")
	done := p.shutdown(2 * time.Second)
	sent := 0
	for {
		// Never quiet, so that only the end of a message can be the end.
		if _, err := m.Mail("<a@example.org>", ""); err != nil {
			break
		}
		if _, err := m.Rcpt("<b@example.net>", ""); err != nil {
			break
		}
		if _, err := m.DataStart(); err != nil {
			break
		}
		if _, err := m.HeaderField("From", " a@example.org", nil); err != nil {
			break
		}
		if _, err := m.HeaderEnd(); err != nil {
			break
		}
		if _, err := m.BodyChunk([]byte("x")); err != nil {
			break
		}
		if _, _, err := m.End(); err != nil {
			break
		}
		sent++
	}
	if err := <-done; err != nil {
		t.Errorf("the busy session was cut off: %v", err)
	}
	if sent == 0 {
		t.Error("the session was ended at once")
	}
}

func TestShutdownCutsOffAtItsDeadline(t *testing.T) {
	t.Parallel()
	p := newPost(t, nil)
	m := p.session()
	m.begin(hello...)
	if err := <-p.shutdown(50 * time.Millisecond); err != context.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
	if _, _, err := m.End(); err == nil {
		t.Error("the message was answered")
	}
}
