package setup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// insideVariable tells the test binary that it runs inside the namespaces.
const insideVariable = "SIGNPOST_TEST_INSIDE"

// TestSystem runs real Postfix on what the package writes. It starts itself
// again in namespaces of its own, where ports 25 and 587 are free, the DNS is
// ours, no mail can get out, and all processes end with it.
func TestSystem(t *testing.T) {
	if os.Getenv(insideVariable) != "" {
		enterWorld(t)
		t.Run("restrictions", testRestrictions)
		t.Run("subdomains", testSubdomains)
		t.Run("all senders", testAllSenders)
		t.Run("foreign client", testForeignClient)
		t.Run("milter away", testMilterAway)
		t.Run("relay password", testRelayPassword)
		return
	}
	t.Parallel()
	needPostfix(t)
	if os.Geteuid() != 0 {
		t.Fatal("Postfix can only be started by root; hint: run the tests as root")
	}
	command := exec.Command(os.Args[0], "-test.run=^TestSystem$", "-test.v", "-test.timeout=5m")
	command.Env = append(os.Environ(), insideVariable+"=1")
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// needPostfix fails the test when there is no Postfix: without it nothing is
// proven.
func needPostfix(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("postfix"); err != nil {
		t.Fatal("postfix is not installed; hint: run make setup")
	}
}

// enterWorld sets up the namespaces.
func enterWorld(t *testing.T) {
	t.Helper()
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		t.Fatal(err)
	}
	resolv := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(resolv, []byte("nameserver 127.0.0.53\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(filepath.Dir(resolv)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount(resolv, "/etc/resolv.conf", "", syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount("/etc/resolv.conf", 0) })
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("ip: %v\n%s", err, out)
	}
	serveDNS(t)
}

// attempt is a message from a sender, and how the reply begins.
type attempt struct {
	port     int
	from, to string
	reply    string
}

func check(t *testing.T, attempts []attempt) {
	t.Helper()
	for _, a := range attempts {
		if got := send(t, a.port, a.from, a.to); !strings.HasPrefix(got, a.reply) {
			t.Errorf("from <%s> to <%s> on port %d: got %q, want %q", a.from, a.to, a.port, got, a.reply)
		}
	}
}

func testRestrictions(t *testing.T) {
	milter := serveMilter(t)
	delivered, _ := serveNextHop(t)
	i := startPostfix(t, map[string]string{
		"ALLOWED_SENDER_DOMAINS": "example.org bücher.example",
		"RELAYHOST":              "[127.0.0.1]:2525",
	}, Request{})
	check(t, []attempt{
		{587, "a@example.org", "b@example.net", "250 2.0.0 Ok: queued as"},
		{25, "a@EXAMPLE.org", "b@example.net", "250 2.0.0 Ok: queued as"},
		{587, "", "b@example.net", "250 2.0.0 Ok: queued as"},
		{587, "a@xn--bcher-kva.example", "b@example.net", "250 2.0.0 Ok: queued as"},
		{587, "a@bücher.example", "b@example.net", "250 2.0.0 Ok: queued as"},
		{587, "a@example.com", "b@example.net", "554 5.7.1 <a@example.com>: Sender address rejected: domain is not in ALLOWED_SENDER_DOMAINS"},
		{25, "a@example.com", "b@example.net", "554 5.7.1 "},
		{587, "a@sub.example.org", "b@example.net", "554 5.7.1 "},
		{587, "a@badexample.org", "b@example.net", "554 5.7.1 "},
		{587, "a@org", "b@example.net", "504 5.5.2 "},
		{587, "example.org@evil.example", "b@example.net", "554 5.7.1 "},
		{587, "a", "b@example.net", "504 5.5.2 "},
		{587, "a@example.org", "b@nowhere.example", "450 4.1.2 "},
		{587, "a@example.org", "b", "504 5.5.2 "},
	})
	// What programs in the container send with sendmail(1) meets the milter too.
	command := exec.Command("sendmail", "-C", i.dir, "-f", "local@example.org", "b@example.net")
	command.Stdin = strings.NewReader("Subject: test\n\nhello\n")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("sendmail: %v\n%s", err, out)
	}
	senders := make(map[string]bool)
	for range 6 {
		<-milter
		senders[<-delivered] = true
	}
	for _, want := range []string{"a@example.org", "", "a@xn--bcher-kva.example", "a@bücher.example", "local@example.org"} {
		if !senders[want] {
			t.Errorf("no message from <%s> was delivered, only %v", want, senders)
		}
	}
	for _, line := range strings.Split(i.logged(), "\n") {
		if strings.Contains(line, "warning:") || strings.Contains(line, "fatal:") || strings.Contains(line, "error:") {
			t.Errorf("postfix complains: %s", line)
		}
	}
}

func testSubdomains(t *testing.T) {
	serveMilter(t)
	startPostfix(t, map[string]string{"ALLOWED_SENDER_DOMAINS": "example.org"}, Request{Subdomains: true})
	check(t, []attempt{
		{587, "a@example.org", "b@example.net", "250 2.0.0 Ok: queued as"},
		{587, "a@sub.example.org", "b@example.net", "250 2.0.0 Ok: queued as"},
		{587, "a@deep.sub.example.org", "b@example.net", "250 2.0.0 Ok: queued as"},
		{587, "a@badexample.org", "b@example.net", "554 5.7.1 "},
		{587, "a@org", "b@example.net", "504 5.5.2 "},
	})
}

func testAllSenders(t *testing.T) {
	serveMilter(t)
	startPostfix(t, map[string]string{"ALLOW_EMPTY_SENDER_DOMAINS": "yes"}, Request{})
	check(t, []attempt{{587, "a@example.com", "b@example.net", "250 2.0.0 Ok: queued as"}})
}

// testForeignClient proves that nobody outside mynetworks can relay, whatever
// the sender, also when all senders are allowed.
func testForeignClient(t *testing.T) {
	serveMilter(t)
	for name, vars := range map[string]map[string]string{
		"listed": {"ALLOWED_SENDER_DOMAINS": "example.org"},
		"all":    {"ALLOW_EMPTY_SENDER_DOMAINS": "yes"},
		"the other lists permit all": {
			"ALLOWED_SENDER_DOMAINS":                            "example.org",
			"POSTFIX_smtpd_client_restrictions":                 "permit",
			"POSTFIX_smtpd_sender_restrictions":                 "permit",
			"POSTFIX_smtpd_relay_restrictions":                  "",
			"POSTFIX_smtpd_relay_before_recipient_restrictions": "no",
		},
	} {
		t.Run(name, func(t *testing.T) {
			vars["POSTFIX_mynetworks"] = "192.0.2.0/24"
			startPostfix(t, vars, Request{})
			refused := "554 5.7.1 "
			if vars["POSTFIX_smtpd_client_restrictions"] != "" {
				refused = "454 4.7.1 " // Postfix's own default for relaying
			}
			check(t, []attempt{
				{25, "a@example.org", "b@example.net", refused},
				{587, "a@example.org", "b@example.net", refused},
				{587, "", "b@example.net", refused},
				{587, "a@example.com", "b@example.net", refused},
			})
		})
	}
}

// testMilterAway proves that mail is put off and not sent unsigned, and taken
// as soon as the milter is back.
func testMilterAway(t *testing.T) {
	startPostfix(t, map[string]string{"ALLOWED_SENDER_DOMAINS": "example.org"}, Request{})
	check(t, []attempt{{587, "a@example.org", "b@example.net", "451 4.7.1 "}})
	serveMilter(t)
	check(t, []attempt{{587, "a@example.org", "b@example.net", "250 2.0.0 Ok: queued as"}})
}

// testRelayPassword proves that the relay's password, in a file for root alone,
// reaches the relay.
func testRelayPassword(t *testing.T) {
	if plugins, _ := filepath.Glob("/usr/lib/*/sasl2/libplain.so"); len(plugins) == 0 {
		t.Fatal("Postfix cannot log in without SASL plugins; hint: install libsasl2-modules")
	}
	serveMilter(t)
	delivered, logins := serveNextHop(t)
	i := startPostfix(t, map[string]string{
		"ALLOWED_SENDER_DOMAINS": "example.org",
		"RELAYHOST":              "[127.0.0.1]:2525",
		"RELAYHOST_USERNAME":     "user@example.net",
		"RELAYHOST_PASSWORD":     `p:a\ss #"w  ö`,
	}, Request{})
	info, err := os.Stat(filepath.Join(i.dir, passwordFile))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("mode of the password is %v", info.Mode())
	}
	check(t, []attempt{{587, "a@example.org", "b@example.net", "250 2.0.0 Ok: queued as"}})
	<-delivered
	select {
	case got := <-logins:
		if want := "\x00user@example.net\x00" + `p:a\ss #"w  ö`; got != want {
			t.Errorf("login is %q, want %q", got, want)
		}
	default:
		t.Error("Postfix did not log in")
	}
}
