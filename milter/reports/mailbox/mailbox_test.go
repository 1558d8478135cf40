package mailbox

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"signpost/keystore/finding"
	"signpost/milter/reports"
	"signpost/milter/reports/mailbox/mailboxtest"
)

func read(t *testing.T, c Config) (lines []string) {
	t.Helper()
	err := Read(t.Context(), c, func(f reports.Found) bool {
		lines = append(lines, line(f))
		return true
	})
	if err != nil {
		t.Error(finding.Text(err))
	}
	return lines
}

func TestRead(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		scheme   string
		implicit bool
		plain    bool
	}{{"imaps", true, false}, {"imap", false, false}, {"imap", false, true}} {
		s := mailboxtest.Start(t, test.implicit)
		now := time.Now()
		s.Add(t, "DMARC/Reports", reported("old"), now.AddDate(0, 0, -40))
		s.Add(t, "DMARC/Reports", ordinary, now.AddDate(0, 0, -1))
		s.Add(t, "DMARC/Reports", reported("new"), now)
		s.Add(t, "INBOX", reported("elsewhere"), now)
		c := config(s, test.scheme, "DMARC/Reports")
		c.Plain = test.plain
		want := []string{"127.0.0.1/DMARC/Reports: message 1: r.xml: report old",
			"127.0.0.1/DMARC/Reports: message 2: without: message", "127.0.0.1/DMARC/Reports: message 3: r.xml: report new"}
		if got := read(t, c); !slices.Equal(got, want) {
			t.Errorf("%+v: got %q", test, got)
		}
		c.Since = now.AddDate(0, 0, -30)
		if got := read(t, c); !slices.Equal(got, want[1:]) {
			t.Errorf("%+v: of 30 days, got %q", test, got)
		}
		// Nothing may be changed on the server, so nothing that could is said.
		heard := s.Heard.String()
		if !strings.Contains(heard, "EXAMINE") || !strings.Contains(heard, "BODY.PEEK[]") ||
			strings.Contains(heard, " SELECT ") || strings.Contains(heard, "\\Seen)") {
			t.Errorf("%+v: the server heard %q", test, heard)
		}
		if clear := strings.Contains(heard, "STARTTLS\r\n"); clear != (test.scheme == "imap" && !test.plain) {
			t.Errorf("%+v: STARTTLS is %v", test, clear)
		}
	}
}

// What is in a message is bounded, and so is what is fetched.
func TestReadLarge(t *testing.T) {
	t.Parallel()
	s := mailboxtest.Start(t, true)
	s.Add(t, "INBOX", strings.Repeat("X: y\r\n", 200_000), time.Now())
	s.Add(t, "INBOX", reported("1"), time.Now())
	c := config(s, "imaps", "")
	c.Limits = reports.DefaultLimits()
	c.Limits.Message = 1 << 20
	want := []string{"127.0.0.1/INBOX: message 1: a message of 1 MB, which was not fetched",
		"127.0.0.1/INBOX: message 2: r.xml: report 1"}
	if got := read(t, c); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if saved, err := Save(t.Context(), c, t.TempDir()); err != nil || saved.New != 2 || saved.Kept != 1 || len(saved.TooLarge) != 1 {
		t.Errorf("got %+v, %v", saved, err)
	}
	// found ends it.
	calls := 0
	if err := Read(t.Context(), c, func(reports.Found) bool { calls++; return false }); err != nil || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

// More than a batch.
func TestReadMany(t *testing.T) {
	t.Parallel()
	s := mailboxtest.Start(t, true)
	for i := range 2*batch + 3 {
		s.Add(t, "INBOX", reported(strconv.Itoa(i)), time.Now())
	}
	if got := read(t, config(s, "imaps", "INBOX")); len(got) != 2*batch+3 || !strings.HasSuffix(got[2*batch+2], "report 102") {
		t.Errorf("got %d: %q", len(got), got)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	s, clear := mailboxtest.Start(t, true), mailboxtest.Start(t, false)
	good := config(s, "imaps", "INBOX")
	with := func(change func(*Config)) Config {
		c := good
		change(&c)
		return c
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	port := strconv.Itoa(s.Port)
	for name, test := range map[string]struct {
		config    Config
		is        error
		say, hint string
	}{
		"password":     {with(func(c *Config) { c.Password = "wrong" }), ErrLogin, "dmarc@example.org at 127.0.0.1", "application password"},
		"no password":  {with(func(c *Config) { c.Password = "" }), nil, "no password", ""},
		"folder":       {config(s, "imaps", "Nowhere"), ErrFolder, "Nowhere", "folders are DMARC/Reports, INBOX"},
		"authority":    {with(func(c *Config) { c.CAFile = "" }), ErrTLS, "unknown authority", "certificate authority"},
		"name":         {with(func(c *Config) { c.URL = "imaps://dmarc@localhost:" + port }), ErrTLS, "localhost", "use a name of the server"},
		"CA file":      {with(func(c *Config) { c.CAFile = "/nonexistent" }), nil, "/nonexistent", ""},
		"not a CA":     {with(func(c *Config) { c.CAFile = "mailbox.go" }), nil, "no certificate", ""},
		"closed":       {with(func(c *Config) { c.URL = "imaps://a@" + closed.Addr().String() }), ErrConnect, "connection refused", ""},
		"no TLS":       {with(func(c *Config) { c.URL = "imaps://a@127.0.0.1:" + strconv.Itoa(clear.Port) }), ErrTLS, "", "STARTTLS"},
		"plain, far":   {Config{URL: "imap://a@192.0.2.1/", Password: "x", Plain: true}, nil, "loopback", "password would be open"},
		"plain, imaps": {with(func(c *Config) { c.Plain = true }), nil, "loopback", ""},
		"in the URL":   {with(func(c *Config) { c.URL = "imaps://a:hunter2@127.0.0.1/" }), nil, "a password in the URL", "file"},
		"malformed":    {with(func(c *Config) { c.URL = "imaps://a:hunter2@127.0.0.1:x/" }), nil, "not a URL", ""},
		"scheme":       {with(func(c *Config) { c.URL = "https://a@127.0.0.1/" }), nil, `"https" is neither`, "imaps://user@host/Folder"},
		"no user":      {with(func(c *Config) { c.URL = "imaps://127.0.0.1/" }), nil, "no user", ""},
		"no host":      {with(func(c *Config) { c.URL = "imaps://a@/" }), nil, "no host", ""},
		"query":        {with(func(c *Config) { c.URL = "imaps://a@127.0.0.1/What?" + "x" }), nil, "unexpected text", "%3F"},
	} {
		err := Read(t.Context(), test.config, func(reports.Found) bool { return true })
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		what, hint := finding.Split(err)
		if test.is != nil && !errors.Is(err, test.is) || !strings.Contains(what, test.say) || !strings.Contains(hint, test.hint) ||
			strings.Contains(what+hint, "hunter2") || strings.Contains(what+hint, "secret") {
			t.Errorf("%s: got %s; %s", name, what, hint)
		}
	}
}

// A server that is silent, and one that refuses STARTTLS: nothing secret is said to it.
func TestBadServers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		greeting string
		answer   string // to STARTTLS
		is       error
	}{
		"silent":               {"", "", nil},
		"silent after a while": {"* OK hello\r\n", "", nil},
		"no STARTTLS":          {"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n", "T1 BAD no\r\n", ErrTLS},
		"PREAUTH":              {"* PREAUTH hello\r\n", "T1 BAD no\r\n", nil},
	} {
		heard := new(mailboxtest.Transcript)
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		go func() {
			defer close(served)
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			conn.Write([]byte(test.greeting))
			buf := make([]byte, 1000)
			for {
				n, err := conn.Read(buf)
				if err != nil {
					return
				}
				heard.Write(buf[:n])
				if strings.Contains(string(buf[:n]), "STARTTLS") {
					conn.Write([]byte(test.answer))
				}
			}
		}()
		c := Config{URL: "imap://a@" + listener.Addr().String(), Password: "hunter2", Timeout: 200 * time.Millisecond}
		err = Read(t.Context(), c, func(reports.Found) bool { return true })
		listener.Close()
		<-served
		if err == nil || test.is != nil && !errors.Is(err, test.is) || strings.Contains(heard.String(), "hunter2") {
			t.Errorf("%s: got %v, the server heard %q", name, err, heard)
		}
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	s := mailboxtest.Start(t, true)
	s.Add(t, "INBOX", reported("1"), time.Now())
	s.Add(t, "INBOX", reported("2"), time.Now())
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	err := Read(ctx, config(s, "imaps", ""), func(reports.Found) bool { calls++; cancel(); return true })
	if !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("got %v after %d calls", err, calls)
	}
}
