package resp

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"time"
)

// Conn is a connection to a server. One goroutine uses it at a time.
type Conn struct {
	net    net.Conn
	reader reader
	out    []byte
	limit  time.Duration
	broken bool
	pushes func(Push)
}

// NewConn returns a connection whose calls take no longer than limit, nor than their
// context. What the server sends unasked goes to pushes, which may be nil.
func NewConn(c net.Conn, limit time.Duration, pushes func(Push)) *Conn {
	return &Conn{net: c, reader: reader{from: c}, limit: limit, pushes: pushes}
}

// Close ends the connection and wipes what it read.
func (c *Conn) Close() error {
	c.broken = true
	err := c.net.Close()
	clear(c.reader.buf[:])
	return err
}

// Broken reports whether the connection cannot be used any more: it failed in the middle of
// an answer.
func (c *Conn) Broken() bool { return c.broken }

// A Command is a command with its arguments: string, int, and []byte for what is wiped.
type Command []any

// Do sends commands at once and returns their answers, in which an Error is one. An error is
// that of the connection, and ends its use.
func (c *Conn) Do(ctx context.Context, commands ...Command) ([]any, error) {
	if c.broken {
		return nil, net.ErrClosed
	}
	done, err := c.begin(ctx, c.limit)
	if err != nil {
		return nil, err
	}
	replies, err := c.exchange(commands)
	return replies, done(err)
}

func (c *Conn) exchange(commands []Command) ([]any, error) {
	c.out = c.out[:0]
	for _, command := range commands {
		c.out = appendCommand(c.out, command)
	}
	defer func() {
		clear(c.out[:cap(c.out)])
		if cap(c.out) > 1<<20 {
			c.out = nil
		}
	}()
	if _, err := c.net.Write(c.out); err != nil {
		return nil, err
	}
	replies := make([]any, 0, len(commands))
	for len(replies) < len(commands) {
		reply, err := c.next()
		if err != nil {
			return nil, err
		}
		replies = append(replies, reply)
	}
	return replies, nil
}

// next returns the next answer, and passes on what was not asked for.
func (c *Conn) next() (any, error) {
	defer c.reader.wipe()
	for {
		reply, err := c.reader.value(0)
		if err != nil {
			return nil, err
		}
		push, ok := reply.(Push)
		if !ok {
			return reply, nil
		}
		if c.pushes != nil {
			c.pushes(push)
		}
	}
}

// Send sends a command, of which Wait returns the answer.
func (c *Conn) Send(ctx context.Context, command Command) error {
	if c.broken {
		return net.ErrClosed
	}
	done, err := c.begin(ctx, c.limit)
	if err != nil {
		return err
	}
	_, err = c.net.Write(appendCommand(nil, command))
	return done(err)
}

// Wait waits until the server sends something unasked, and returns it: a Push, or in RESP2
// an array. It is nil where nothing comes within idle.
func (c *Conn) Wait(ctx context.Context, idle time.Duration) (any, error) {
	if c.broken {
		return nil, net.ErrClosed
	}
	done, err := c.begin(ctx, idle)
	if err != nil {
		return nil, err
	}
	defer c.reader.wipe()
	if c.reader.begin == c.reader.end {
		if err = c.reader.fill(); errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil && !ended(ctx) {
			_ = done(nil)
			return nil, nil
		}
	}
	var reply any
	if err == nil {
		_ = c.net.SetReadDeadline(time.Now().Add(c.limit))
		reply, err = c.reader.value(0)
	}
	return reply, done(err)
}

// begin sets the deadline of a call. What it returns ends the call, with its error.
func (c *Conn) begin(ctx context.Context, limit time.Duration) (func(error) error, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	deadline := time.Now().Add(limit)
	if end, ok := ctx.Deadline(); ok && end.Before(deadline) {
		deadline = end
	}
	_ = c.net.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = c.net.SetDeadline(time.Unix(1, 0)) })
	return func(err error) error {
		stopped := stop()
		if err != nil || !stopped {
			c.broken = true
		}
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
		// The context may be about to end.
		if errors.Is(err, os.ErrDeadlineExceeded) && ended(ctx) {
			return context.DeadlineExceeded
		}
		return err
	}, nil
}

func ended(ctx context.Context) bool {
	end, ok := ctx.Deadline()
	return ok && !time.Now().Before(end)
}

func appendCommand(out []byte, command Command) []byte {
	out = append(out, '*')
	out = strconv.AppendInt(out, int64(len(command)), 10)
	out = append(out, "\r\n"...)
	for _, arg := range command {
		switch arg := arg.(type) {
		case string:
			out = appendString(out, arg)
		case []byte:
			out = appendString(out, arg)
		case int:
			out = appendString(out, strconv.Itoa(arg))
		}
	}
	return out
}

func appendString[T string | []byte](out []byte, arg T) []byte {
	out = append(out, '$')
	out = strconv.AppendInt(out, int64(len(arg)), 10)
	out = append(out, "\r\n"...)
	out = append(out, arg...)
	return append(out, "\r\n"...)
}

// Wipe clears all strings of a reply.
func Wipe(reply any) {
	switch reply := reply.(type) {
	case []byte:
		clear(reply)
	case []any:
		for _, item := range reply {
			Wipe(item)
		}
	case Push:
		Wipe([]any(reply))
	}
}

// Equal reports whether a reply is this string.
func Equal(reply any, text string) bool {
	switch reply := reply.(type) {
	case string:
		return reply == text
	case []byte:
		return bytes.Equal(reply, []byte(text))
	}
	return false
}
