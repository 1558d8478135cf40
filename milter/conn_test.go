package milter

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/milter/dkim"
)

// frame is a command as it goes over the wire.
func frame(command byte, payload string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload)+1))
	return string(append(b, command)) + payload
}

const (
	offer   = "\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff"
	connect = "client\x004\x04\x01127.0.0.1\x00"
)

// Each of these costs its own connection, with a line in the log, and nothing
// else.
func TestHostileBytes(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(c *Config) { c.Limits.HeaderBytes = 1 << 20 })
	bystander := p.session()
	begin := frame('O', offer)
	message := begin + frame('C', connect) + frame('M', "<a@example.org>\x00")
	for name, test := range map[string]struct{ bytes, log string }{
		"boky's health check":             {"\x18Clocalhost\r\n", "frame of 407071855 bytes"},
		"the same from dash":              {"\\x18Clocalhost\r\n", "frame of 1551380792 bytes"},
		"zero length":                     {"\x00\x00\x00\x00", "frame without a command"},
		"zero length later":               {message + "\x00\x00\x00\x00", "frame without a command"},
		"512 MB":                          {"\x1f\xff\xff\xffO", "frame of 536870911 bytes"},
		"4 GB":                            {"\xff\xff\xff\xffB", "frame of 4294967295 bytes"},
		"HTTP":                            {"GET / HTTP/1.1\r\n\r\n", "frame of 1195725856 bytes"},
		"no negotiation":                  {frame('C', connect), "not a milter client"},
		"short negotiation":               {frame('O', offer[:11]), "malformed 'O' frame of 11 bytes"},
		"unknown command":                 {begin + frame('Z', ""), "unknown command 'Z'"},
		"long command":                    {begin + frame('M', strings.Repeat("x", 70000)), "'M' frame of 70000 bytes, at most 65536"},
		"long header, cut":                {message + frame('L', "X\x00"+strings.Repeat("x", 2<<20)+"\x00") + "\x00\x00\x00\x00", "without a command"},
		"long name, cut":                  {message + frame('L', strings.Repeat("x", 2<<20)+"\x00\x00"), "malformed 'L' frame of 1048577 bytes"},
		"long header, not there":          {message + "\x04\x00\x00\x01L", "frame of 67108865 bytes"},
		"long chunk":                      {message + "\x00\x10\x00\x02B", "'B' frame of 1048577 bytes"},
		"empty connect":                   {begin + frame('C', ""), "malformed 'C' frame of 0 bytes"},
		"connect without a NUL":           {begin + frame('C', "host"), "malformed 'C'"},
		"connect without a family":        {begin + frame('C', "host\x00"), "malformed 'C'"},
		"empty macro":                     {begin + frame('D', ""), "malformed 'D'"},
		"empty HELO":                      {begin + frame('H', ""), "malformed 'H'"},
		"empty MAIL":                      {begin + frame('M', ""), "malformed 'M'"},
		"MAIL without a NUL":              {begin + frame('M', "<>"), "malformed 'M'"},
		"RCPT without a NUL":              {message + frame('R', "<>"), "malformed 'R'"},
		"empty header":                    {message + frame('L', ""), "malformed 'L'"},
		"header without a name":           {message + frame('L', "\x00x\x00"), "malformed 'L'"},
		"header without a value":          {message + frame('L', "X\x00"), "malformed 'L'"},
		"header with a NUL in it":         {message + frame('L', "X\x00a\x00b\x00"), "malformed 'L'"},
		"header without the last NUL":     {message + frame('L', "X\x00a"), "malformed 'L'"},
		"end of message with a chunk":     {message + frame('E', "x"), "'E' frame of 1 bytes, at most 0"},
		"a connection in a connection":    {message + begin, "a second negotiation"},
		"an address that is none":         {begin + frame('C', "host\x004\x00\x00nowhere\x00"), `invalid client address \"nowhere\"`},
		"a family that is none":           {begin + frame('C', "host\x00?"), "unknown family '?'"},
		"a family without address":        {begin + frame('C', "host\x004\x00"), "a client without an address"},
		"broken off within the length":    {message + "\x00\x00", "broken off"},
		"broken off within a frame":       {message + frame('L', "X\x00value\x00")[:9], "broken off"},
		"broken off within a chunk":       {message + frame('B', "text")[:7], "broken off"},
		"macros of an unknown stage":      {message + frame('D', "?x\x00y\x00") + "\x00\x00\x00\x00", "without a command"},
		"macros with a value left out":    {message + frame('D', "Mi") + "\x00\x00\x00\x00", "without a command"},
		"all commands out of their order": {begin + frame('E', "") + frame('B', "") + frame('N', "") + frame('T', "") + frame('A', "") + frame('K', "") + frame('U', "x\x00") + "\x00\x00\x00\x00", "without a command"},
	} {
		c := p.dial()
		if _, err := io.WriteString(c, test.bytes); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if strings.HasPrefix(test.log, "broken off") {
			_ = c.(*net.TCPConn).CloseWrite()
		}
		p.silence(c)
		if test.log != "" {
			p.log.await(t, test.log, "peer="+c.LocalAddr().String())
		}
	}
	p.mustSign(bystander, hello, "still here\r\n")
	p.mustSign(p.session(), hello, "and for others\r\n")
}

// However the bytes of a session are cut, the same comes out.
func TestFramesInPieces(t *testing.T) {
	t.Parallel()
	p := newPost(t, nil)
	session := frame('O', offer) + frame('D', "Cj\x00mta.test\x00") + frame('C', connect) +
		frame('D', "Mi\x00q1\x00") + frame('M', "<a@example.org>\x00") +
		frame('D', "Li\x00q1\x00") + frame('L', "From\x00 a@example.org\x00") +
		frame('D', "Ni\x00q1\x00") + frame('N', "") +
		frame('D', "Bi\x00q1\x00") + frame('B', strings.Repeat("0123456789abcdef\r\n", 5000)[:65535]) +
		frame('D', "Ei\x00q1\x00") + frame('E', "") + frame('Q', "")
	want := int64(0)
	for _, step := range []int{len(session), 65536, 4096, 1001, 7} {
		c := p.dial()
		go func() {
			for rest := session; rest != ""; {
				n := min(step, len(rest))
				if _, err := io.WriteString(c, rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		got := p.silence(c)
		if want == 0 {
			want = got
		}
		if got != want || got < 300 {
			t.Errorf("in steps of %d: %d bytes of answer, want %d", step, got, want)
		}
	}
	if got := p.Counters().Messages()[Signed]; got != 5 {
		t.Errorf("signed %d", got)
	}
}

// Nothing that comes over the wire panics or hangs.
func FuzzSession(f *testing.F) {
	begin := frame('O', offer)
	message := begin + frame('C', connect) + frame('M', "<a@example.org>\x00") + frame('L', "From\x00 a@must.example\x00")
	f.Add([]byte(message + frame('N', "") + frame('B', "text\r\n") + frame('E', "") + frame('Q', "")))
	f.Add([]byte(message + frame('A', "") + message + frame('K', "") + frame('E', "")))
	f.Add([]byte(begin + frame('D', "Mi") + frame('D', "M") + frame('D', "E\x00\x00\x00") + frame('E', "")))
	f.Add([]byte("\x00\x00\x00\x00"))
	f.Add([]byte(begin + frame('C', "\x006\x00\x00IPv6:::1\x00") + frame('C', "\x00L\x00\x00/x\x00") + frame('C', "\x00U")))
	server, err := NewServer(Config{
		Keys:   func(string) ([]*keystore.Key, error) { return nil, keystore.ErrNoKey },
		Policy: &dkim.Policy{},
		Rules:  Rules{Trusted: networks("0.0.0.0/0", "::/0"), MustSign: map[string]bool{"must.example": true}},
		Limits: Limits{HeaderBytes: 16 << 10, Idle: time.Second},
		Log:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		f.Fatal(err)
	}
	ln := &pipes{peers: make(chan net.Conn)}
	go func() { _ = server.Serve(ln) }()
	f.Fuzz(func(t *testing.T, data []byte) {
		peer, theirs := net.Pipe()
		ln.peers <- theirs
		_ = peer.SetDeadline(time.Now().Add(10 * time.Second))
		go func() {
			_, _ = peer.Write(data)
			_ = peer.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		}()
		_, err := io.Copy(io.Discard, peer)
		var timeout net.Error
		if err != nil && !(errors.As(err, &timeout) && timeout.Timeout()) {
			t.Fatal(err)
		}
		peer.Close()
	})
}

// pipes is a listener for connections within the process.
type pipes struct{ peers chan net.Conn }

func (p *pipes) Accept() (net.Conn, error) { return <-p.peers, nil }
func (p *pipes) Close() error              { return nil }
func (p *pipes) Addr() net.Addr            { return &net.UnixAddr{} }
