package milter

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"signpost/keystore/finding"
)

const (
	// readBuffer holds any frame but a large header field and a body chunk,
	// which is taken in the pieces that come.
	readBuffer = headSize + maxOtherFrame
	// frameTimeout is how long a frame that has begun may take to arrive, a
	// reply to leave, and a new peer to begin the negotiation.
	frameTimeout = 30 * time.Second
)

// conn reads frames from a peer and writes replies to it. Only whole frames of
// a bounded size and a known shape get through. It keeps the time limits, and
// ends the session between messages when the server shuts down.
//
// One goroutine uses it; drain is called by others.
type conn struct {
	net.Conn
	server *Server
	in     *bufio.Reader
	out    []byte // replies not yet sent

	taken int    // bytes in the buffer of in that the last frame or piece has
	body  int    // bytes of a body chunk that are still to come
	large []byte // a header field that is too large for the buffer

	began   bool // the peer has negotiated
	message bool // between MAIL and the answer to the end of the message

	waiting  time.Time // since when the reader has been waiting
	patience time.Duration
	between  bool // it waits between messages, with no part of a frame read

	draining    atomic.Pointer[time.Time] // when to close even a busy connection
	acknowledge func()
}

// The head of a frame: the length of what follows, then the command.
const (
	lengthSize = 4
	headSize   = lengthSize + 1
)

// next returns the next frame. Its payload is good until the next call. That of
// a body chunk is not there yet: piece returns it.
func (c *conn) next() (command byte, payload []byte, err error) {
	c.drop()
	size, err := c.begin()
	if err != nil {
		return 0, nil, err
	}
	head, err := c.await(headSize)
	if err != nil {
		return 0, nil, unexpected(err)
	}
	command = head[lengthSize]
	if !c.began && command != cmdNegotiate {
		return 0, nil, frameError{"not a milter client"}
	}
	if err := checkSize(command, size); err != nil {
		return 0, nil, err
	}
	switch {
	case command == cmdBody:
		c.taken, c.body = headSize, size
	case size > maxOtherFrame:
		payload, err = c.largeField(size)
	default:
		payload, err = c.await(headSize + size)
		if err == nil {
			c.taken, payload = len(payload), payload[headSize:]
		}
	}
	if err != nil {
		return 0, nil, unexpected(err)
	}
	if err := checkPayload(command, payload); err != nil {
		return 0, nil, err
	}
	c.follow(command)
	return command, payload, nil
}

// piece returns the next bytes of a body chunk, as many as have come, and none
// at its end. They are good until the next call.
func (c *conn) piece() ([]byte, error) {
	c.drop()
	if c.body == 0 {
		return nil, nil
	}
	if _, err := c.await(1); err != nil {
		return nil, unexpected(err)
	}
	c.taken = min(c.in.Buffered(), c.body)
	c.body -= c.taken
	return c.in.Peek(c.taken)
}

// drop makes room for what comes next.
func (c *conn) drop() {
	_, _ = c.in.Discard(c.taken)
	c.taken = 0
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
	if have := c.in.Buffered(); have < n {
		if c.began && have == 0 && c.body == 0 {
			c.limit(c.server.limits.Idle)
		} else {
			c.limit(frameTimeout)
		}
	}
	return c.in.Peek(n)
}

// largeField reads a header field that the buffer cannot hold. What exceeds the
// bound on the whole header is dropped: the message is then refused, or let
// through, for what it is. Memory grows with what arrives, not with what the
// head of the frame claims.
func (c *conn) largeField(size int) ([]byte, error) {
	_, _ = c.in.Discard(headSize)
	keep := min(size, c.server.limits.HeaderBytes+1)
	c.large = c.large[:0]
	c.limit(frameTimeout)
	for len(c.large) < keep {
		start, step := len(c.large), min(keep-len(c.large), readBuffer)
		c.large = append(c.large, make([]byte, step)...)
		if _, err := io.ReadFull(c.in, c.large[start:]); err != nil {
			return nil, err
		}
	}
	if keep < size {
		if _, err := c.in.Discard(size - keep); err != nil {
			return nil, err
		}
		c.large[keep-1] = 0
	}
	return c.large, nil
}

// follow keeps track of whether a message is in transit.
func (c *conn) follow(command byte) {
	switch command {
	case cmdNegotiate:
		c.began = true
	case cmdMail, cmdHeader, cmdEndOfHead, cmdBody, cmdEndOfBody:
		c.message = true
	case cmdAbort, cmdQuit, cmdQuitReuse:
		c.message = false
	}
	if command != cmdHeader && cap(c.large) > 0 {
		c.large = nil // such a field is rare, and the connection may live long
	}
}

// limit sets how long to wait for something to read.
func (c *conn) limit(d time.Duration) {
	c.waiting, c.patience = time.Now(), d
	_ = c.SetReadDeadline(c.until())
	if c.draining.Load() != nil {
		_ = c.SetReadDeadline(c.until()) // drain may have come in between
	}
}

// until is when the reader loses its patience: soon, when the server shuts down
// and nothing is in transit.
func (c *conn) until() time.Time {
	if c.between && c.draining.Load() != nil {
		return c.waiting.Add(min(c.patience, c.server.quiet))
	}
	return c.waiting.Add(c.patience)
}

// drain ends the session as soon as no message is in transit and the peer has
// been quiet for a moment, or at the next end of a message after until.
func (c *conn) drain(until time.Time) {
	c.draining.Store(&until)
	_ = c.SetReadDeadline(time.Now()) // the reader wakes and looks again
}

// source reads from the peer until the reader has lost its patience. Before it
// waits, the replies leave.
type source struct{ *conn }

func (s source) Read(p []byte) (int, error) {
	if err := s.flush(); err != nil {
		return 0, err
	}
	for {
		n, err := s.Conn.Read(p)
		s.acknowledge()
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(s.until()) {
			return n, err
		}
		_ = s.SetReadDeadline(s.until())
	}
}

func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_ = c.SetWriteDeadline(time.Now().Add(frameTimeout))
	_, err := c.Conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// report logs why a connection ends.
func (c *conn) report(err error) {
	var bad frameError
	switch {
	case errors.As(err, &bad):
		c.server.counters.refused("frame")
		c.server.log.Warn("connection closed: the peer does not speak milter", "peer", peerName(c), finding.Attr(err))
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.server.counters.refused("idle")
		c.server.log.Info("connection closed: idle for too long", "peer", peerName(c), "message", c.message)
	case errors.Is(err, io.ErrUnexpectedEOF):
		c.server.log.Debug("connection broken off within a frame", "peer", peerName(c))
	case !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed):
		c.server.log.Debug("connection lost", "peer", peerName(c), finding.Attr(err))
	}
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
