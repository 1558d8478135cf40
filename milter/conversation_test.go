package milter

import (
	"bytes"
	"encoding/binary"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"signpost/milter/dkim"
)

// tape is a peer that has said everything before it hears the first reply.
type tape struct {
	replay
	said  io.Reader
	heard bytes.Buffer
}

func (p *tape) Read(b []byte) (int, error)  { return p.said.Read(b) }
func (p *tape) Write(b []byte) (int, error) { return p.heard.Write(b) }

// conversation is what an MTA says, made of arbitrary bytes, and what it must hear.
// It keeps the same books as a session, in its own way.
type conversation struct {
	data []byte // what the choices are made of
	said []byte
	want []answer
	over bool // the session has ended

	met      bool   // negotiated
	protocol uint32 // what the MTA need not wait for
	trusted  bool
	letter
	complete bool // the header is
}

// answer is a reply to wait for, or what may answer the end of a message.
type answer struct {
	code    byte // 0 for the end of a message
	message letter
}

// letter is a message as the MTA has it.
type letter struct {
	trusted bool
	from    []string // domains
	header  []string
	size    int
	body    string
	odd     bool // what no MTA does: fields after the header
}

// choose takes a number below n from the data, 0 when there is no more.
func (c *conversation) choose(n int) int {
	if len(c.data) == 0 {
		return 0
	}
	b := int(c.data[0])
	c.data = c.data[1:]
	return b % n
}

// text takes letters, blanks and line ends from the data.
func (c *conversation) text(end string) string {
	n := min(c.choose(64), len(c.data))
	var b strings.Builder
	for _, r := range c.data[:n] {
		switch r % 16 {
		case 0:
			b.WriteString(end)
		case 1, 2:
			b.WriteByte(' ')
		case 3:
			b.WriteByte('\t')
		default:
			b.WriteByte('a' + r%26)
		}
	}
	c.data = c.data[n:]
	return b.String()
}

// say adds a frame, and the reply that must come unless both sides do without.
func (c *conversation) say(command byte, payload string, unless uint32) {
	c.said = append(c.said, frame(command, payload)...)
	c.over = c.over || !c.met
	if !c.over && unless != 0 && c.protocol&unless == 0 {
		c.want = append(c.want, answer{code: replyContinue})
	}
}

func (c *conversation) negotiate() {
	version, actions := []uint32{6, 2, 1}[c.choose(8)%3], []uint32{0x1ff, actAddHeader, actSetMacros}[c.choose(8)%3]
	protocol := []uint32{0x1fffff, 0, noHeaderReply | noBodyReply, leadingSpace}[c.choose(4)]
	c.said = append(c.said, frame('O', string(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(
		binary.BigEndian.AppendUint32(nil, version), actions), protocol)))...)
	if c.met || version < 2 || actions&actAddHeader == 0 {
		c.over = true
	}
	if !c.over {
		c.met, c.protocol = true, protocol&wantedProtocol
		c.want = append(c.want, answer{code: cmdNegotiate})
	}
}

func (c *conversation) field(name, value string) {
	space := ""
	if c.protocol&leadingSpace == 0 {
		space = " "
	}
	c.odd = c.odd || c.complete
	c.size += len(value) + 100
	c.header = append(c.header, name+":"+space+strings.ReplaceAll(value, "\n", "\r\n"))
	c.say(cmdHeader, name+"\x00"+value+"\x00", noHeaderReply)
}

func (c *conversation) reset() { c.letter, c.complete = letter{}, false }

// step says one thing.
func (c *conversation) step() {
	switch c.choose(20) {
	case 0:
		c.negotiate()
	case 1:
		address := []string{"4\x04\x01127.0.0.1\x00", "4\x00\x00127.0.0.1\x00", "4\x04\x01192.0.2.1\x00", "L\x00\x00/socket\x00", "U"}[c.choose(5)]
		c.say(cmdConnect, "client\x00"+address, noConnectReply)
		c.reset()
		c.trusted = address[0] == 'L' || strings.Contains(address, "127.")
	case 2, 3:
		c.say(cmdMail, "<a@example.org>\x00", noMailReply)
		c.reset()
	case 4, 5, 6:
		domain := []string{"example.org", "must.example", "other.example"}[c.choose(3)]
		c.from = append(c.from, domain)
		c.field("From", " x"+c.text("\n\tx")+" <x@"+domain+">")
	case 7, 8:
		c.field([]string{"Subject", "X-Other", "To", "subject"}[c.choose(4)], " x"+c.text("\n\tx"))
	case 9:
		c.field("Subject", " "+strings.Repeat("long ", 1<<c.choose(17)))
	case 10:
		c.say(cmdEndOfHead, "", noEndHeadReply)
		c.complete = true
	case 11, 12:
		chunk := strings.Repeat(c.text("\r\n"), 1<<c.choose(10))
		for cut := c.choose(256); len(chunk) > 0; cut = len(chunk) {
			cut = min(cut, len(chunk))
			c.say(cmdBody, chunk[:cut], noBodyReply)
			c.body, chunk = c.body+chunk[:cut], chunk[cut:]
		}
		c.complete = true
	case 13, 14, 15:
		if c.say(cmdEndOfBody, "", 0); !c.over {
			c.letter.trusted = c.trusted
			c.want = append(c.want, answer{message: c.letter})
		}
		c.reset()
	case 16:
		c.say(cmdAbort, "", 0)
		c.reset()
	case 17:
		c.say(cmdQuitReuse, "", 0)
		c.reset()
		c.trusted = false
	case 18:
		c.say(cmdMacro, []string{"Mi\x00q1\x00", "Ei\x00q2\x00", "M", "L{x}\x00y\x00"}[c.choose(4)], 0)
	case 19:
		n := c.choose(5)
		c.say("HRTUQ"[n], "x\x00", []uint32{noHeloReply, noRcptReply, noDataReply, noUnknownReply, 0}[n])
		c.over = c.over || n == 4
	}
}

// mustAnswer asserts that a message was answered as it must be, with the signatures.
func (l *letter) mustAnswer(t testing.TB, signatures []string, code byte, verify func(signature string, header []string, body string)) {
	t.Helper()
	signed, deferred := 0, l.trusted && len(l.from) == 1 && l.from[0] == "must.example"
	if l.trusted && len(l.from) == 1 && l.from[0] == "example.org" {
		signed = 1
	}
	switch {
	case l.odd || l.trusted && len(l.from) > 1:
		// Whatever becomes of it, nothing else may.
	case l.trusted && l.size > reserve && code == replyCode && len(signatures) == 0:
		// There is not enough memory for it.
	case len(signatures) != signed || (code == replyCode) != deferred:
		t.Fatalf("%d signatures and %q for %+v", len(signatures), code, l)
	case signed == 1:
		body := l.body
		if body != "" && !strings.HasSuffix(body, "\r\n") {
			body += "\r\n"
		}
		verify(signatures[0], l.header, body)
	}
	if code != replyAccept && len(signatures) > 0 {
		t.Fatalf("%d signatures with %q", len(signatures), code)
	}
}

// Whatever an MTA says, and in whatever order: each command gets the reply that it
// waits for and no other, each end of a message one verdict, each signature
// verifies, and all memory is there again at the end.
func FuzzConversation(f *testing.F) {
	greeting := "\x00\x00\x00\x00\x01\x00" // O, C
	f.Add(uint8(0), []byte(greeting+"\x02\x04\x00\x05abcde\x0a\x0b\x04text\x00\x02\x0d\x10"))
	f.Add(uint8(1), []byte(greeting+"\x02\x04\x00\x00\x09\x12\x09\x12\x0a\x0d\x02\x04\x00\x00\x0d"))
	f.Add(uint8(2), []byte(greeting+"\x04\x01\x00\x0b\x00\x0d\x11\x02\x04\x02\x00\x0a\x0d\x13\x04"))
	f.Add(uint8(7), []byte("\x00\x01\x01\x01\x01\x02\x04\x00\x00\x07\x01\x08aaaapppp\x0a\x0b\x07p``0abc\x03\x01\x0d"))
	f.Add(uint8(3), []byte("\x00\x00\x02\x00\x00"))
	keys := keysFor(f, "example.org")
	var servers []*Server
	for _, c := range []string{"relaxed/relaxed", "simple/simple", "relaxed/simple", "simple/relaxed"} {
		header, body, _ := dkim.ParseCanonicalization(c)
		server, err := NewServer(Config{
			Keys: keys.Signing, Policy: &dkim.Policy{Header: header, Body: body},
			Rules:  Rules{Trusted: networks("127.0.0.0/8"), MustSign: map[string]bool{"must.example": true}},
			Limits: Limits{HeaderBytes: 256 << 10, Memory: 256 << 10},
			Log:    slog.New(slog.NewTextHandler(io.Discard, nil)),
		})
		if err != nil {
			f.Fatal(err)
		}
		servers = append(servers, server)
	}
	f.Fuzz(func(t *testing.T, shape uint8, data []byte) {
		server, before := servers[shape%4], runtime.NumGoroutine()
		c := conversation{data: data}
		for len(c.data) > 0 && !c.over && len(c.said) < 1<<20 {
			c.step()
		}
		if shape&8 != 0 { // and then noise
			c.said = append(c.said, data...)
		}
		peer := &tape{said: bytes.NewReader(c.said)}
		if shape&4 != 0 {
			peer.said = iotest.HalfReader(peer.said)
		}
		session, why := server.admit(peer)
		if session == nil {
			t.Fatal(why)
		}
		server.serve(session)
		c.mustHear(t, &peer.heard, shape&8 != 0, func(signature string, header []string, body string) {
			mustVerify(t, keys, signature, header, body)
		})
		if got := server.Counters().Refused()["panic"]; got != 0 {
			t.Fatalf("%d panics", got)
		}
		if taken, _ := server.Memory(); taken != 0 || session.holder.memory.live != 0 {
			t.Errorf("%d bytes are taken still, %d by the peer", taken, session.holder.memory.live)
		}
		if open, _ := server.Sessions(); open != 0 {
			t.Errorf("%d sessions are open still", open)
		}
		for wait := time.Now(); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
			if time.Since(wait) > 10*time.Second {
				t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
			}
		}
	})
}

// mustHear asserts that the replies are those that must come, in their order. After
// noise there may be more.
func (c *conversation) mustHear(t testing.TB, heard *bytes.Buffer, more bool, verify func(string, []string, string)) {
	t.Helper()
	for i, want := range c.want {
		var signatures []string
		code, text := readReply(t, heard)
		for want.code == 0 && code == replyInsertHeader {
			name, value, _ := strings.Cut(string(text[4:len(text)-1]), "\x00")
			if name != "DKIM-Signature" {
				t.Fatalf("reply %d adds a field %q", i, name)
			}
			if c.protocol&leadingSpace == 0 {
				value = " " + value
			}
			signatures = append(signatures, value)
			code, text = readReply(t, heard)
		}
		switch {
		case want.code == 0 && code != replyAccept && code != replyCode, want.code != 0 && code != want.code:
			t.Fatalf("reply %d is %q %q, want %q", i, code, text, want.code)
		case want.code == 0:
			want.message.mustAnswer(t, signatures, code, verify)
		}
	}
	if !more && heard.Len() > 0 {
		t.Fatalf("%d bytes more than the replies: %q", heard.Len(), heard)
	}
}
