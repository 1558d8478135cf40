package milter

import (
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

// frameTimeout is how long a frame that has begun may take to arrive, a reply to
// leave, and a new peer to begin the negotiation.
const frameTimeout = 30 * time.Second

// conn reads frames from a peer and writes replies to it. Only whole frames of
// a bounded size and a known shape get through. It keeps the time limits, and
// ends the session between messages when the server shuts down.
//
// One goroutine uses it; drain and displace are called by others.
type conn struct {
	net.Conn
	server *Server
	holder *holder // of its place
	in     input
	out    []byte   // replies not yet sent
	short  [64]byte // holds most of them

	taken   int    // bytes in the buffer of in that the last frame or piece has
	body    int    // bytes of a body chunk that are still to come
	large   []byte // a header field that is too large for the buffer
	memory  account
	wasting bool // nothing more is kept of the header of this message

	began   bool      // the peer has negotiated
	message bool      // between MAIL and the answer to the end of the message
	expires time.Time // when a message whose header has begun must have ended

	waiting  time.Time // since when the reader has been waiting
	patience time.Duration
	between  bool // it waits between messages, with no part of a frame read
	resting  bool // it waits for a frame, and nothing is here but the state of the session
	stays    bool // it could not be handed over

	standing
	draining    atomic.Pointer[time.Time] // when to close even a busy connection
	acknowledge func()
}

// The head of a frame: the length of what follows, then the command.
const (
	lengthSize = 4
	headSize   = lengthSize + 1
)

// next returns the next frame. Its payload is good until the next call. That of
// a body chunk is not there yet: piece returns it. That of a header field is nil
// when there was no memory for it.
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
	c.schedule(command)
	switch {
	case command == cmdBody:
		c.taken, c.body = headSize, size
	case size > maxOtherFrame:
		payload, err = c.largeField(size)
		if payload == nil && err == nil {
			c.follow(command)
			return command, nil, nil
		}
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
	piece := c.in.buffered()
	piece = piece[:min(len(piece), c.body)]
	c.taken = len(piece)
	c.body -= c.taken
	return piece, nil
}

// drop makes room for what comes next.
func (c *conn) drop() {
	c.in.discard(c.taken)
	c.taken = 0
}

// begin waits for the length of the next frame and returns the size of its
// payload. This is where a session ends in good order.
func (c *conn) begin() (size int, err error) {
	c.between = !c.message && len(c.in.buffered()) == 0
	c.resting = c.expires.IsZero() && len(c.in.buffered()) == 0 && c.server.HandOver != nil && !c.stays
	length, err := c.await(lengthSize)
	idle, rests := c.between && len(c.in.buffered()) == 0, c.rests(err)
	c.between, c.resting = false, false
	switch until := c.draining.Load(); {
	case rests:
		return 0, errHandedOver
	case err != nil && idle && until != nil:
		return 0, io.EOF
	case err != nil && len(c.in.buffered()) > 0:
		return 0, unexpected(err)
	case err != nil:
		return 0, err
	case until != nil && !c.message && time.Now().After(*until) && (c.server.HandOver == nil || c.stays):
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
	if have := len(c.in.buffered()); have < n {
		if c.began && have == 0 && c.body == 0 {
			c.limit(c.server.limits.Idle)
		} else {
			c.limit(frameTimeout)
		}
	}
	for len(c.in.buffered()) < n {
		if err := c.patiently(c.in.fill); err != nil {
			return nil, err
		}
	}
	return c.in.buffered()[:n], nil
}

// schedule gives a message whose header begins the time to its end. Before that
// the SMTP client sets the pace, and then a queue file: Postfix and Sendmail send
// header and body when they have the whole message.
func (c *conn) schedule(command byte) {
	switch command {
	case cmdHeader, cmdEndOfHead, cmdBody, cmdEndOfBody:
		if c.expires.IsZero() {
			c.expires = time.Now().Add(c.server.limits.Message)
		}
	}
}

// follow keeps track of whether a message is in transit.
func (c *conn) follow(command byte) {
	switch command {
	case cmdNegotiate:
		c.began = true
	case cmdMail:
		c.over()
		c.message = true
		c.step(true)
	case cmdHeader, cmdEndOfHead, cmdBody, cmdEndOfBody:
		c.message = true
	case cmdConnect, cmdAbort, cmdQuit, cmdQuitReuse:
		c.over()
	}
	if command != cmdHeader && cap(c.large) > 0 {
		c.large = nil // such a field is rare, and the connection may live long
	}
}

// over is the end of a message, if there was one.
func (c *conn) over() {
	if c.message {
		c.step(false)
	}
	c.message, c.expires, c.wasting = false, time.Time{}, false
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
	if c.resting && c.draining.Load() != nil {
		return c.waiting
	}
	if c.between && c.draining.Load() != nil {
		return c.waiting.Add(min(c.patience, c.server.quiet))
	}
	until := c.waiting.Add(c.patience)
	if !c.expires.IsZero() && c.expires.Before(until) {
		return c.expires
	}
	return until
}

// drain ends the session as soon as no message is in transit and the peer has
// been quiet for a moment, or at the next end of a message after until.
func (c *conn) drain(until time.Time) {
	c.draining.Store(&until)
	_ = c.SetReadDeadline(time.Now()) // the reader wakes and looks again
}

// patiently reads until the reader has lost its patience. Before it waits, the
// replies leave.
func (c *conn) patiently(read func() error) error {
	if err := c.flush(); err != nil {
		return err
	}
	for {
		err := read()
		c.acknowledge()
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(c.until()) {
			return err
		}
		_ = c.SetReadDeadline(c.until())
	}
}

func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_ = c.SetWriteDeadline(time.Now().Add(frameTimeout))
	_, err := c.Conn.Write(c.out)
	c.out = c.short[:0]
	return err
}

// report logs why a connection ends.
func (c *conn) report(err error) {
	var bad frameError
	switch {
	case c.displaced.Load(), errors.Is(err, errHandedOver):
		// Said by who did it.
	case errors.As(err, &bad):
		c.server.counters.refused("frame")
		c.server.log.Warn("connection closed: the peer does not speak milter", "peer", peerName(c), finding.Attr(err))
	case errors.Is(err, os.ErrDeadlineExceeded) && !c.expires.IsZero() && !time.Now().Before(c.expires):
		c.server.counters.refused("slow")
		c.server.log.Warn("connection closed: the message took too long", "peer", peerName(c),
			"limit", c.server.limits.Message, "hint", "the MTA tries again; find out what holds the peer up")
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
