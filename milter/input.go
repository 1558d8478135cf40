package milter

import (
	"io"
	"net"
	"sync"
	"syscall"
)

// readBuffer holds any frame but a large header field and a body chunk, which is
// taken in the pieces that come.
const readBuffer = headSize + maxOtherFrame

// input buffers what comes from a peer. It has a buffer only while there is
// something in it: most connections wait most of the time, and a socket can be
// waited for without.
type input struct {
	peer       net.Conn
	raw        syscall.RawConn // nil for a peer that is not a socket
	buffers    *sync.Pool      // of *[readBuffer]byte
	buf        *[readBuffer]byte
	start, end int // of what is in it

	attempt func(fd uintptr) bool // to read from the socket
	into    []byte                // where to, if not to the buffer
	n       int                   // what came of it
	err     error
}

func newInput(peer net.Conn, buffers *sync.Pool) input {
	r := input{peer: peer, buffers: buffers}
	if socket, ok := peer.(syscall.Conn); ok {
		r.raw, _ = socket.SyscallConn()
	}
	return r
}

// buffered returns what is in the buffer.
func (r *input) buffered() []byte {
	if r.buf == nil {
		return nil
	}
	return r.buf[r.start:r.end]
}

func (r *input) discard(n int) { r.start += n }

// fill reads what comes, at least one byte, behind what is in the buffer.
func (r *input) fill() error {
	switch {
	case r.start == r.end:
		r.release()
	case r.start > 0:
		r.end = copy(r.buf[:], r.buf[r.start:r.end])
		r.start = 0
	}
	n, err := r.read(nil)
	r.end += n
	return err
}

// fillInto reads what comes, at least one byte, into p. The buffer is empty.
func (r *input) fillInto(p []byte) (int, error) {
	r.release()
	return r.read(p)
}

// release gives the buffer back.
func (r *input) release() {
	if r.buf != nil {
		r.buffers.Put(r.buf)
	}
	r.buf, r.start, r.end = nil, 0, 0
}

func (r *input) take() {
	r.buf, _ = r.buffers.Get().(*[readBuffer]byte)
	if r.buf == nil {
		r.buf = new([readBuffer]byte)
	}
}

// read reads into p or, if that is nil, into what is free of the buffer.
func (r *input) read(p []byte) (int, error) {
	if r.raw == nil {
		if p == nil {
			if r.buf == nil {
				r.take()
			}
			p = r.buf[r.end:]
		}
		return r.peer.Read(p)
	}
	if r.attempt == nil {
		r.attempt = r.tryRead
	}
	r.into, r.n, r.err = p, 0, nil
	err := r.raw.Read(r.attempt)
	r.into = nil
	switch {
	case err != nil:
		return 0, err
	case r.err != nil:
		return 0, r.err
	case r.n == 0:
		return 0, io.EOF
	}
	return r.n, nil
}

// tryRead reports whether there was something to read, or an error. It is called
// again when there may be, and until then has no buffer.
func (r *input) tryRead(fd uintptr) bool {
	p, fresh := r.into, false
	if p == nil {
		if fresh = r.buf == nil; fresh {
			r.take()
		}
		p = r.buf[r.end:]
	}
	for {
		r.n, r.err = syscall.Read(int(fd), p)
		if r.err != syscall.EINTR {
			break
		}
	}
	if r.err != nil && fresh {
		r.release()
	}
	return r.err != syscall.EAGAIN
}
