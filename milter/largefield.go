package milter

// largeField reads a header field that the buffer cannot hold. What exceeds the
// bound on the whole header is dropped: the message is then refused, or let
// through, for what it is. Memory grows with what arrives, not with what the
// head of the frame claims, and only as far as there is some: without, nothing is
// returned.
func (c *conn) largeField(size int) ([]byte, error) {
	c.in.discard(headSize)
	keep := min(size, c.server.limits.HeaderBytes+1)
	c.large = c.large[:0]
	c.limit(frameTimeout)
	for len(c.large) < keep && !c.wasting {
		if len(c.large) == cap(c.large) && !c.grow(keep) {
			c.wasting = true
			break
		}
		room := c.large[len(c.large):min(keep, cap(c.large))]
		n, err := c.readInto(room)
		if err != nil {
			return nil, err
		}
		c.large = c.large[:len(c.large)+n]
	}
	rest := size - len(c.large)
	if c.wasting {
		c.large = nil
	}
	if err := c.skip(rest); err != nil || c.wasting {
		return nil, err
	}
	if keep < size {
		c.large[keep-1] = 0
	}
	return c.large, nil
}

// grow makes room for more of a large field, in steps so large that little is
// copied.
func (c *conn) grow(most int) bool {
	size := min(max(readBuffer, 4*cap(c.large)), most)
	if !c.memory.take(size) {
		return false
	}
	c.large = append(make([]byte, 0, size), c.large...)
	return true
}

// readInto returns how many bytes have come into p.
func (c *conn) readInto(p []byte) (n int, err error) {
	if n = copy(p, c.in.buffered()); n > 0 {
		c.in.discard(n)
		return n, nil
	}
	err = c.patiently(func() error {
		n, err = c.in.fillInto(p)
		return err
	})
	return n, err
}

// skip reads bytes and drops them.
func (c *conn) skip(n int) error {
	for {
		have := min(n, len(c.in.buffered()))
		c.in.discard(have)
		if n -= have; n == 0 {
			return nil
		}
		if err := c.patiently(c.in.fill); err != nil {
			return err
		}
	}
}
