package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"signpost/test/lab"
	"signpost/test/lab/nameserver"
)

// A session is signpost at a terminal.
type session struct {
	t       *testing.T
	cmd     *exec.Cmd
	keys    *os.File // what is typed
	reading sync.WaitGroup

	mu     sync.Mutex
	output []byte
}

// atTerminal starts signpost on a terminal of its own, 80 columns wide.
func atTerminal(t *testing.T, args ...string) *session {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	fd := int(keyboard.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	err = errors.Join(err, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0),
		unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	s := &session{t: t, cmd: signpost(args...), keys: keyboard}
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = terminal, terminal, terminal
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill() })
	s.reading.Go(func() {
		for buffer := make([]byte, 4096); ; {
			n, err := keyboard.Read(buffer)
			s.mu.Lock()
			s.output = append(s.output, buffer[:n]...)
			s.mu.Unlock()
			if err != nil {
				return // EIO: nobody has the terminal open
			}
		}
	})
	return s
}

// signpost is a command that runs this program as signpost, in the surroundings of a
// person.
func signpost(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Args = append([]string{"signpost"}, args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "CI=") })
	cmd.Env = append(cmd.Env, "TERM=xterm", "NO_COLOR=1", "SIGNPOST_KEYS=", "GORACE=atexit_sleep_ms=0")
	return cmd
}

func (s *session) written() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.output)
}

// sees waits for text that matches.
func (s *session) sees(pattern string) {
	s.t.Helper()
	compiled := regexp.MustCompile(pattern)
	if !lab.Wait(time.Minute, func() bool { return compiled.MatchString(s.written()) }) {
		s.t.Fatalf("no %s on the terminal:\n%q", pattern, s.written())
	}
}

func (s *session) ctrlC() {
	s.t.Helper()
	if _, err := s.keys.Write([]byte{3}); err != nil {
		s.t.Fatal(err)
	}
}

// ends waits for the end, and returns the exit code, negative for a signal, and what is
// left on the screen.
func (s *session) ends() (code int, screen string) {
	s.cmd.Wait()
	s.reading.Wait()
	if status := s.cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
		return -int(status.Signal()), settled(s.written())
	}
	return s.cmd.ProcessState.ExitCode(), settled(s.written())
}

// settled does what a terminal does with carriage returns and "erase to the end of the
// line".
func settled(written string) string {
	var screen []string
	for line := range strings.SplitSeq(strings.ReplaceAll(written, "\r\n", "\n"), "\n") {
		var row []byte
		for part := range strings.SplitSeq(line, "\r") {
			at := 0
			for piece := range strings.SplitSeq(part, "\x1b[K") {
				row = append(append(row[:at:at], piece...), row[min(len(row), at+len(piece)):]...)
				at += len(piece)
				if piece != part { // what follows is an erasure
					row = row[:at]
				}
			}
		}
		screen = append(screen, string(row))
	}
	return strings.Join(screen, "\n")
}

// domainsFor are names that sort as they count.
func domainsFor(n int) (domains []string) {
	for i := range n {
		domains = append(domains, fmt.Sprintf("d%03d.example", i))
	}
	return domains
}

// Three hundred domains: made and checked at a terminal, which says how far it is, and
// checked where nobody looks.
func TestManyDomains(t *testing.T) {
	t.Parallel()
	const many = 300
	domains, dir := domainsFor(many), t.TempDir()
	keys := filepath.Join(dir, "keys")
	making := atTerminal(t, append([]string{"keygen", "--mkdir", "--keys", keys, "--selector", "s1", "--type", "ed25519"}, domains...)...)
	code, screen := making.ends()
	if code != 0 || !slices.Equal(toldOf(screen), domains) || strings.Contains(screen, "made keys for") {
		t.Fatalf("keygen: exit code %d:\n%.2000s", code, screen)
	}
	if !regexp.MustCompile(`\rmade keys for \d+ of 300`).MatchString(making.written()) {
		t.Errorf("keygen does not say how far it is:\n%.2000q", making.written())
	}

	resolver := serveDomains(t, dir, keys, domains)
	args := []string{"check", "--all", "--keys", keys, "--resolver", resolver, "--dns-rate", "1000", "--from-ip", "192.0.2.1", "--helo", "mail.d000.example"}
	start := time.Now()
	checking := atTerminal(t, args...)
	code, screen = checking.ends()
	t.Logf("%d domains checked in %v", many, time.Since(start).Round(time.Millisecond))
	if code != 0 || !slices.Equal(toldOf(screen), domains) || strings.Contains(screen, " of 300") {
		t.Errorf("check: exit code %d, %d in order:\n%.2000s", code, len(toldOf(screen)), screen)
	}
	checking.sees(`\rchecked 1?\d\d of 300(, \d+ s left)?\x1b\[K`)

	// In a pipe there is no such line, and as JSON the answer is one object.
	var stdout, stderr bytes.Buffer
	cmd := signpost(append(args, "--json")...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 || strings.Count(stdout.String(), `      "passes": "yes"`) != many {
		t.Errorf("%v, standard error %q, %.2000s", err, &stderr, &stdout)
	}
}

// Ctrl-C: what was begun is done to its end or not told at all, the rest is named, and
// who asks twice has it at once.
func TestCtrlC(t *testing.T) {
	t.Parallel()
	t.Run("keygen", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		making := atTerminal(t, append([]string{"keygen", "--keys", dir, "--selector", "s1"}, domainsFor(500)...)...)
		making.sees(`made an RSA key`)
		making.ctrlC()
		code, screen := making.ends()
		made := len(toldOf(screen))
		private, _ := filepath.Glob(dir + "/*/s1.private")
		records, _ := filepath.Glob(dir + "/*/s1.txt")
		all, _ := filepath.Glob(dir + "/*/*")
		summary := fmt.Sprintf("\nsignpost: error: stopped: made keys for %d of 500 domains, and not %s, ", made, firstNot(domainsFor(500), toldOf(screen)))
		if code != 130 || made == 0 || len(private) != made || len(records) != made || len(all) != 2*made || !strings.Contains(screen, summary) {
			t.Errorf("exit code %d, %d keys, %d records:\n%s", code, len(private), len(records), screen)
		}
	})
	t.Run("check", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		domains := domainsFor(40)
		if out, err := signpost(append([]string{"keygen", "--keys", dir, "--selector", "s1", "--type", "ed25519"}, domains...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		resolver := serveDomains(t, t.TempDir(), dir, domains)
		checking := atTerminal(t, "check", "--all", "--keys", dir, "--resolver", resolver, "--dns-rate", "20",
			"--from-ip", "192.0.2.1", "--helo", "mail.d000.example")
		checking.sees(`checked ([2-9]|1\d) of 40`)
		checking.ctrlC()
		code, screen := checking.ends()
		told := toldOf(screen)
		summary := fmt.Sprintf("\nsignpost: error: stopped: checked %d of 40 domains, and not %s, ", len(told), firstNot(domains, told))
		// A query that was cut short is no finding.
		if code != 130 || len(told) < 2 || !strings.Contains(screen, summary) || strings.Contains(screen, "unknown") {
			t.Errorf("exit code %d, %d told:\n%s", code, len(told), screen)
		}
	})
	t.Run("twice", func(t *testing.T) {
		t.Parallel()
		silent, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		dir := t.TempDir()
		if out, err := signpost("keygen", "--keys", dir, "--type", "ed25519", "a.example", "b.example").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		rotating := atTerminal(t, "rotate", "--all", "--keys", dir, "--timeout", "1h", "--resolver", silent.LocalAddr().String())
		if _, _, err := silent.ReadFrom(make([]byte, 512)); err != nil { // it has asked
			t.Fatal(err)
		}
		rotating.ctrlC()
		rotating.sees(`stopping after what has begun; Ctrl-C again ends at once`)
		rotating.ctrlC()
		if code, screen := rotating.ends(); code != -int(syscall.SIGINT) {
			t.Errorf("exit code %d:\n%s", code, screen)
		}
	})
}

// toldOf returns the domains whose results are on the screen, in order.
func toldOf(screen string) (domains []string) {
	// The terminal shows ^C where it comes.
	line := regexp.MustCompile(`(?m)^(?:\^C)?(d\d+\.example)(: made an .*)?$`)
	for _, match := range line.FindAllStringSubmatch(screen, -1) {
		domains = append(domains, match[1])
	}
	return domains
}

// firstNot returns the first of all that is not among some.
func firstNot(all, some []string) string {
	return all[slices.IndexFunc(all, func(one string) bool { return !slices.Contains(some, one) })]
}

// serveDomains serves what the domains have to publish, and returns the address.
func serveDomains(t *testing.T, dir, keys string, domains []string) string {
	t.Helper()
	var zone strings.Builder
	io.WriteString(&zone, "@ SOA ns. root. 1 7200 900 1209600 60\n@ NS ns.\nns. A 127.0.0.1\n"+
		"1.2.0.192.in-addr.arpa. PTR mail.d000.example.\n")
	for _, domain := range domains {
		record, err := os.ReadFile(filepath.Join(keys, domain, "s1.txt"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&zone, "$ORIGIN %s.\n@ MX 10 mail\nmail A 192.0.2.1\n@ TXT \"v=spf1 mx -all\"\n"+
			"_dmarc TXT \"v=DMARC1; p=reject; rua=mailto:dmarc@%s\"\n%s", domain, domain, record)
	}
	server, err := nameserver.StartNSD(dir, "", map[string]string{".": zone.String()}, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Stop() })
	return net.JoinHostPort("127.0.0.1", server.Port)
}
