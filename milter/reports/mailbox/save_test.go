package mailbox

import (
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"signpost/milter/reports"
	"signpost/milter/reports/mailbox/mailboxtest"
)

// kept reads the directory as a path of reports, and checks who may read what is in it.
func kept(t *testing.T, dir string) (ids []string) {
	t.Helper()
	err := reports.Read(t.Context(), []string{dir}, nil, reports.DefaultLimits(), func(f reports.Found) bool {
		if f.Report == nil {
			t.Errorf("found %+v", f)
			return true
		}
		ids = append(ids, f.Report.ID)
		return true
	})
	if err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		want := os.FileMode(0o640)
		if filepath.Ext(e.Name()) == ".json" {
			want = 0o600
		}
		if err != nil || info.Mode() != want {
			t.Errorf("%s: mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
	slices.Sort(ids)
	return ids
}

func save(t *testing.T, c Config, dir string, newCount, keptCount, without int) {
	t.Helper()
	saved, err := Save(t.Context(), c, dir)
	if err != nil || saved.New != newCount || saved.Kept != keptCount || saved.Without != without {
		t.Errorf("got %+v, %v, want %d new, %d kept, %d without", saved, err, newCount, keptCount, without)
	}
}

// Only what is new is fetched, and nothing that was is lost.
func TestSave(t *testing.T) {
	t.Parallel()
	s := mailboxtest.Start(t, true)
	dir := filepath.Join(t.TempDir(), "new", "reports")
	now := time.Now()
	c := config(s, "imaps", "INBOX")
	c.Since = now.AddDate(0, 0, -30)
	s.Add(t, "INBOX", reported("old"), now.AddDate(0, 0, -60))
	s.Add(t, "INBOX", reported("1"), now)
	s.Add(t, "INBOX", ordinary, now)
	save(t, c, dir, 2, 1, 1)
	save(t, c, dir, 0, 0, 0)
	s.Add(t, "INBOX", reported("2"), now)
	c.Since = now.AddDate(0, 0, -29) // the days go on
	save(t, c, dir, 1, 1, 0)
	if got := kept(t, dir); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("kept %q", got)
	}
	// The state of another folder is another.
	s.Add(t, "DMARC/Reports", reported("3"), now)
	save(t, config(s, "imaps", "DMARC/Reports"), dir, 1, 1, 0)
	save(t, c, dir, 0, 0, 0)
	// Older messages are asked for: all are looked at again, and none is there twice.
	c.Since = time.Time{}
	save(t, c, dir, 4, 3, 1)
	if got := kept(t, dir); !slices.Equal(got, []string{"1", "2", "3", "old"}) {
		t.Errorf("kept %q", got)
	}
	save(t, c, dir, 0, 0, 0)
	c.Since = now.AddDate(0, 0, -30)
	save(t, c, dir, 0, 0, 0)
}

// A folder that was made anew numbers its messages anew.
func TestSaveValidity(t *testing.T) {
	t.Parallel()
	s := mailboxtest.Start(t, true)
	dir := t.TempDir()
	c := config(s, "imaps", "DMARC/Reports")
	s.Add(t, "DMARC/Reports", reported("1"), time.Now())
	s.Add(t, "DMARC/Reports", reported("2"), time.Now())
	save(t, c, dir, 2, 2, 0)
	if err := s.User.Delete("DMARC/Reports"); err != nil {
		t.Fatal(err)
	}
	if err := s.User.Create("DMARC/Reports", nil); err != nil {
		t.Fatal(err)
	}
	s.Add(t, "DMARC/Reports", reported("3"), time.Now())
	save(t, c, dir, 1, 1, 0)
	if got := kept(t, dir); !slices.Equal(got, []string{"1", "2", "3"}) {
		t.Errorf("kept %q", got)
	}
}

// What was kept before a failure stays, and the next run goes on from there.
func TestSaveFails(t *testing.T) {
	t.Parallel()
	s := mailboxtest.Start(t, true)
	dir := t.TempDir()
	c := config(s, "imaps", "")
	s.Add(t, "INBOX", reported("1"), time.Now())
	save(t, c, dir, 1, 1, 0)
	states, err := filepath.Glob(filepath.Join(dir, ".imap-*.json"))
	if err != nil || len(states) != 1 {
		t.Fatal(states, err)
	}
	whole, err := os.ReadFile(states[0])
	if err != nil || strings.Contains(string(whole), "secret") {
		t.Fatalf("%s, %v", whole, err)
	}
	if err := os.WriteFile(states[0], whole[:20], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Save(t.Context(), c, dir); err == nil || !strings.Contains(err.Error(), states[0]) {
		t.Errorf("damaged state: got %v", err)
	}
	if err := os.Remove(states[0]); err != nil {
		t.Fatal(err)
	}
	save(t, c, dir, 1, 1, 0)
	// A file in the way of the directory.
	if _, err := Save(t.Context(), c, states[0]); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("a file as directory: got %v", err)
	}
	c.Password = "wrong"
	if _, err := Save(t.Context(), c, dir); err == nil {
		t.Error("no error with a wrong password")
	}
	if got := kept(t, dir); !slices.Equal(got, []string{"1"}) {
		t.Errorf("kept %q", got)
	}
}

// Wherever the connection breaks, the next run goes on there, and nothing is lost or there twice.
func TestSaveGoesOn(t *testing.T) {
	t.Parallel()
	s := mailboxtest.Start(t, true)
	var want []string
	for i := range batch + 10 {
		id := strconv.Itoa(1000 + i)
		want = append(want, id)
		padding := ""
		if i >= batch {
			padding = "X-Padding: " + strings.Repeat("x", 5000) + "\r\n"
		}
		s.Add(t, "INBOX", padding+reported(id), time.Now())
	}
	again, rest := 0, 0
	for bytes := int64(15_000); bytes < 100_000; bytes += 25_000 {
		dir := t.TempDir()
		c := config(s, "imaps", "INBOX")
		c.URL = "imaps://dmarc@example.org@" + cutting(t, s.Port, bytes) + "/INBOX"
		first, err := Save(t.Context(), c, dir)
		if err == nil && first.Kept < len(want) {
			t.Errorf("cut after %d bytes: no error with %+v", bytes, first)
		}
		second, err := Save(t.Context(), c, dir)
		if got := kept(t, dir); err != nil || !slices.Equal(got, want) {
			t.Errorf("cut after %d bytes: kept %q, %v", bytes, got, err)
		}
		switch {
		case first.Kept > 0 && second.New == len(want):
			again++ // in the first batch
		case second.New == 10:
			rest++
		}
	}
	if again == 0 || rest == 0 {
		t.Errorf("%d times all were fetched again, %d times only the rest", again, rest)
	}
}

// cutting is the address of a way to a server on which the first connection breaks after the server
// has sent some bytes.
func cutting(t *testing.T, port int, bytes int64) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { listener.Close(); <-done })
	go func() {
		defer close(done)
		for left := bytes; ; left = math.MaxInt64 {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			if err != nil {
				client.Close()
				return
			}
			sent := make(chan struct{})
			go func() { io.Copy(server, client); server.Close(); close(sent) }()
			io.CopyN(client, server, left)
			client.Close()
			<-sent
		}
	}()
	return listener.Addr().String()
}

// A server answers a search for UIDs from the next one on with the last message, where there is no
// other (RFC 3501, section 6.4.8).
func TestListLast(t *testing.T) {
	t.Parallel()
	s := mailboxtest.Start(t, true)
	s.Add(t, "INBOX", reported("1"), time.Now())
	session, err := open(t.Context(), config(s, "imaps", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer session.close()
	session.uidNext = 0 // as if another message had come and gone
	if uids, err := session.list(1); err != nil || len(uids) != 0 {
		t.Errorf("got %v, %v", uids, err)
	}
	if uids, err := session.list(0); err != nil || len(uids) != 1 {
		t.Errorf("got %v, %v", uids, err)
	}
}
