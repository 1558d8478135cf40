package milter

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	readBuffer = 32 << 10
	// frameTimeout is how long a frame that has begun may take to arrive, a
	// reply to leave, and a new peer to begin the negotiation.
	frameTimeout = 30 * time.Second
)

// conn stands between a peer and the protocol library, which trusts its peer:
// only whole frames of a bounded size and a known shape get through. It also
// buffers, keeps the time limits (the library's own are too short or missing),
// drops frames that nobody reads, and ends the session between messages when
// the server shuts down.
//
// Read and Write are called by one goroutine; drain and Close also by others.
type conn struct {
	net.Conn
	server *Server
	in     *bufio.Reader
	out    []byte // replies not yet sent

	frame   []byte // what the library has still to read of the frame; reused
	unread  []byte // part of frame
	body    int    // bytes of a body frame that follow unread, not yet read
	began   bool   // the peer has negotiated
	message bool   // between MAIL and the answer to the end of the message
	ended   bool   // the end of the message has been read, its answer is due

	waiting  time.Time // since when the reader has been waiting
	patience time.Duration
	between  bool // it waits between messages, with no part of a frame read

	draining    atomic.Pointer[time.Time] // when to close even a busy connection
	close       sync.Once
	acknowledge func()
}

// Read gives the library the bytes of the next good frames.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.unread) == 0 && c.body == 0 {
		if err := c.flush(); err != nil {
			return 0, c.report(err)
		}
		if err := c.next(); err != nil {
			return 0, c.report(err)
		}
	}
	if len(c.unread) > 0 {
		n := copy(p, c.unread)
		c.unread = c.unread[n:]
		return n, nil
	}
	if c.in.Buffered() == 0 {
		c.limit(frameTimeout)
	}
	n, err := c.in.Read(p[:min(len(p), c.body)])
	c.body -= n
	if err != nil {
		return n, c.report(unexpected(err))
	}
	return n, nil
}

// The head of a frame: the length of what follows, then the command.
const (
	lengthSize = 4
	headSize   = lengthSize + 1
)

// next reads a frame that the library needs into c.frame, or in the case of a
// body chunk only its head.
func (c *conn) next() error {
	for {
		size, err := c.begin()
		if err != nil {
			return err
		}
		head, err := c.await(headSize)
		if err != nil {
			return unexpected(err)
		}
		command := head[lengthSize]
		if !c.began && command != cmdNegotiate {
			return frameError{"not a milter client"}
		}
		if err := checkSize(command, size); err != nil {
			return err
		}
		if cap(c.frame) > 2*maxOtherFrame {
			c.frame = nil // a large header field is rare, and the connection may live long
		}
		c.frame = append(c.frame[:0], head...)
		_, _ = c.in.Discard(headSize)
		if command == cmdBody {
			c.unread, c.body = c.frame, size
			c.message = true
			return nil
		}
		keep := size
		if command == cmdHeader {
			keep = min(size, c.server.limits.HeaderBytes+1)
		}
		if err := c.payload(keep); err != nil {
			return err
		}
		if keep < size {
			if err := c.cut(size - keep); err != nil {
				return err
			}
		}
		payload := c.frame[headSize:]
		if err := checkPayload(command, payload); err != nil {
			return err
		}
		c.follow(command)
		if unneeded(command, payload) {
			continue
		}
		c.unread = c.frame
		return nil
	}
}

// begin waits for the length of the next frame and returns the size of its
// payload. This is where a session ends in good order.
func (c *conn) begin() (size int, err error) {
	c.between = !c.message && c.in.Buffered() == 0
	length, err := c.await(lengthSize)
	idle := c.between && c.in.Buffered() == 0
	c.between = false
	switch until := c.draining.Load(); {
	case err != nil && idle && until != nil:
		return 0, io.EOF
	case err != nil && c.in.Buffered() > 0:
		return 0, unexpected(err)
	case err != nil:
		return 0, err
	case until != nil && !c.message && time.Now().After(*until):
		return 0, io.EOF
	}
	n := binary.BigEndian.Uint32(length)
	if n == 0 {
		return 0, frameError{"frame without a command"}
	}
	if n > maxFrame {
		return 0, frameError{fmt.Sprintf("frame of %d bytes, at most %d are taken", n, maxFrame)}
	}
	return int(n) - 1, nil
}

// await waits until the first n bytes of a frame are there, without taking them.
func (c *conn) await(n int) ([]byte, error) {
	if c.in.Buffered() < n {
		if c.began && c.in.Buffered() == 0 {
			c.limit(c.server.limits.Idle)
		} else {
			c.limit(frameTimeout)
		}
	}
	return c.in.Peek(n)
}

// payload appends the rest of a frame to c.frame. The buffer grows with what
// arrives, not with what the head of the frame claims.
func (c *conn) payload(size int) error {
	if c.in.Buffered() < size {
		c.limit(frameTimeout)
	}
	for size > 0 {
		step := min(size, readBuffer)
		start := len(c.frame)
		c.frame = append(c.frame, make([]byte, step)...)
		if _, err := io.ReadFull(c.in, c.frame[start:]); err != nil {
			return unexpected(err)
		}
		size -= step
	}
	return nil
}

// cut drops the rest of a frame, and makes c.frame a whole one without it.
func (c *conn) cut(rest int) error {
	c.limit(frameTimeout)
	if _, err := c.in.Discard(rest); err != nil {
		return unexpected(err)
	}
	c.frame[len(c.frame)-1] = 0
	binary.BigEndian.PutUint32(c.frame, uint32(len(c.frame)-lengthSize))
	return nil
}

// follow keeps track of whether a message is under way.
func (c *conn) follow(command byte) {
	switch command {
	case cmdNegotiate:
		c.began = true
	case cmdMail, cmdHeader, cmdEndOfHead:
		c.message = true
	case cmdEndOfBody:
		c.message, c.ended = true, true
	case cmdAbort, cmdQuit, cmdQuitReuse:
		c.message, c.ended = false, false
	}
}

// limit sets how long to wait for something to read.
func (c *conn) limit(d time.Duration) {
	c.waiting, c.patience = time.Now(), d
	_ = c.Conn.SetReadDeadline(c.until())
	if c.draining.Load() != nil {
		_ = c.Conn.SetReadDeadline(c.until()) // drain may have come in between
	}
}

// until is when the reader loses its patience: soon, when the server shuts down
// and nothing is under way.
func (c *conn) until() time.Time {
	if c.between && c.draining.Load() != nil {
		return c.waiting.Add(min(c.patience, c.server.quiet))
	}
	return c.waiting.Add(c.patience)
}

// drain ends the session as soon as no message is under way and the peer has
// been quiet for a moment, or at the next end of a message after until.
func (c *conn) drain(until time.Time) {
	c.draining.Store(&until)
	_ = c.Conn.SetReadDeadline(time.Now()) // the reader wakes and looks again
}

// source reads from the peer until the reader has lost its patience.
type source struct{ *conn }

func (s source) Read(p []byte) (int, error) {
	for {
		n, err := s.Conn.Read(p)
		s.acknowledge()
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(s.until()) {
			return n, err
		}
		_ = s.Conn.SetReadDeadline(s.until())
	}
}

// Write keeps a reply until the session waits for its peer again, so that the
// library's several writes leave as one.
func (c *conn) Write(p []byte) (int, error) {
	// The library writes the head of a frame, length and code, on its own.
	if c.ended && len(p) == 5 && isFinal(p[4]) {
		c.message, c.ended = false, false
	}
	c.out = append(c.out, p...)
	return len(p), nil
}

// isFinal reports whether a reply code ends the message, as changes to it and
// signs of life do not.
func isFinal(code byte) bool {
	switch code {
	case 'a', 'c', 'd', 'r', 't', 'y': // accept, continue, discard, reject, tempfail, reply code
		return true
	}
	return false
}

func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_ = c.Conn.SetWriteDeadline(time.Now().Add(frameTimeout))
	_, err := c.Conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// Close lets another peer in. No reply is left to send: the session waits for
// its peer, and so sends them, before it can end.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.close.Do(func() {
		err = c.Conn.Close()
		c.server.gone(c)
	})
	return err
}

// SetReadDeadline does nothing: the time limits are ours.
func (c *conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing: the time limits are ours.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// report logs why a connection ends, once, and makes the library end it
// without a word of its own.
func (c *conn) report(err error) error {
	var bad frameError
	switch {
	case errors.As(err, &bad):
		c.server.counters.refused("frame")
		c.server.log.Warn("connection closed: the peer does not speak milter", "peer", c.peer(), "err", err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.server.counters.refused("idle")
		c.server.log.Info("connection closed: nothing came for too long", "peer", c.peer(), "in message", c.message)
	case errors.Is(err, io.ErrUnexpectedEOF):
		c.server.log.Debug("connection broken off within a frame", "peer", c.peer())
	case !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed):
		c.server.log.Debug("connection lost", "peer", c.peer(), "err", err)
	}
	return net.ErrClosed // io.EOF within a frame would make the library speak
}

func (c *conn) peer() string { return peerName(c.Conn) }

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
