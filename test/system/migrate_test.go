package system

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	gomilter "github.com/d--j/go-milter"

	"signpost/test/lab"
)

// A host with OpenDKIM signs for forty domains, with keys at all kinds of places. It is
// switched to signpostd and back while mail runs, and every message arrives once, with
// one signature that verifies, by the same domain and selector all the time.
func TestMigrateFromOpenDKIM(t *testing.T) {
	t.Parallel()
	h := newHost(t, 40)
	h.startOpenDKIM()
	other := h.startOther()
	h.services = "588 inet n - n - - smtpd -o smtpd_milters=" + h.openDKIM + "\n"
	p := h.startPostfix(other+", "+h.openDKIM, "milter_default_action = accept")
	before := h.configuration(p)

	// First what would happen: a table entry that cannot be carried over stops it.
	said := h.mustFail(p, "--dry-run")
	for _, want := range []string{
		"SigningTable:41: mail from guest.example is signed with d=d00.example, the name of another domain",
		"signed by both and compared: 80 of 80 domains the same, in d= and s=, and verify",
		"-smtpd_milters = " + other + ", " + h.openDKIM,
		"+smtpd_milters = " + other + ", { " + h.milterAddr() + ", default_action=tempfail }",
		"+588 inet n - n - - smtpd -o smtpd_milters={" + h.milterAddr() + ",default_action=tempfail}",
		"signpost: error: not all mail that OpenDKIM signs would be signed",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("the dry run does not say %q:\n%s", want, said)
		}
	}
	h.mustBe(p, before, "after a dry run")

	d := h.startDaemon(h.settings(said)...)
	s := p.startStream(1, h.authors()...)
	s.awaitMore(len(h.want))
	if n := len(d.logged("field added")); n > 0 {
		t.Errorf("signpostd has signed %d messages before the switch", n)
	}
	if said := h.migrate(p, "--yes", "--accept-loss"); !strings.Contains(said, "Postfix passes mail to signpostd") {
		t.Fatalf("migrate:\n%s", said)
	}
	h.sendmail(p, "switched")
	submission := *p // whose milters are in master.cf
	submission.addr = h.net + ".1:588"
	submission.mustSubmit("a@d01.example", "reader@rcpt.test", letter("a@d01.example", "by master.cf"))
	s.awaitMore(2 * len(h.want))
	for domain, want := range h.want {
		if len(d.logged("field added", "d="+want.domain+")", "from="+domain)) == 0 {
			t.Errorf("after the switch signpostd has not signed for %s", domain)
		}
	}
	if said := h.mustFail(p, "--yes"); !strings.Contains(said, "Postfix is switched to signpostd already") {
		t.Errorf("a second time:\n%s", said)
	}

	// A service that came since is not the migration's, and its milter is still needed.
	added := "589 inet n - n - - smtpd -o smtpd_milters=" + h.milterAddr() + "\n"
	master, err := os.ReadFile(p.Etc + "/master.cf")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.Etc+"/master.cf", append(master, added...), 0o644); err != nil {
		t.Fatal(err)
	}
	said = h.migrate(p, "--back", "--yes")
	for _, want := range []string{
		"systemctl enable opendkim",
		"The copies of the keys stay in " + h.keys,
		"lines that were added since the switch pass mail to " + h.milterAddr() + " still",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("back does not say %q:\n%s", want, said)
		}
	}
	h.sendmail(p, "back")
	s.awaitMore(len(h.want)) // connections from before end
	signed := len(d.logged("field added"))
	s.awaitMore(len(h.want))
	if n := len(d.logged("field added")) - signed; n > 0 {
		t.Errorf("signpostd has signed %d messages after the way back", n)
	}
	after := h.configuration(p)
	if after != before+added {
		t.Errorf("after the way back:\n%s\nwant\n%s", after, before+added)
	}

	s.end()
	accepted, _ := s.counts()
	await(t, "all mail to arrive", func() bool { return len(h.sink.All()) >= accepted+3 })
	all, refused := s.finish()
	if len(refused) > 0 {
		t.Errorf("%d attempts were refused, first %v", len(refused), refused[0])
	}
	var messages []signedMessage
	for _, m := range all {
		messages = append(messages, signedMessage{m.data, []signature{h.want[m.domain]}})
		if !bytes.Contains(m.data, []byte("X-Other: seen")) {
			t.Errorf("the other milter has not seen a message:\n%s", m.data)
		}
	}
	for _, id := range []string{"switched", "by master.cf", "back"} {
		messages = append(messages, signedMessage{h.awaitDelivery(id), []signature{h.want["d01.example"]}})
	}
	h.mustVerifyAll(messages)
	t.Logf("%d messages over both switches", accepted)
}

// What would change who signs, or cannot be finished, stops the switch, and nothing is
// changed.
func TestMigrateStops(t *testing.T) {
	t.Parallel()
	h := newHost(t, 2)
	odk := h.startOpenDKIM()
	p := h.startPostfix(h.openDKIM)
	before := h.configuration(p)
	// Without a signpostd that runs there is nothing to switch to.
	said := h.mustFail(p, "--yes", "--accept-loss")
	if !strings.Contains(said, "signpostd does not answer at ") {
		t.Errorf("without signpostd:\n%s", said)
	}
	h.mustBe(p, before, "after what failed")
	h.startDaemon(h.settings(said)...)

	// The DNS is asked with --dns, and then says that no receiver could verify it.
	if said := h.migrate(p, "--dry-run", "--accept-loss", "--dns"); !strings.Contains(said, "4 of 4 domains") {
		t.Errorf("by the DNS:\n%s", said)
	}
	h.dns.Withdraw("s1._domainkey.d01.example.")
	if said := h.mustFail(p, "--dry-run", "--accept-loss", "--dns"); !strings.Contains(said,
		"by the DNS, the signature with d=d01.example s=s1 does not verify") {
		t.Errorf("a record that is gone:\n%s", said)
	}

	// OpenDKIM has read its tables when it started, and they were changed since.
	tables, err := os.ReadFile(h.dir + "/odk/KeyTable")
	if err != nil {
		t.Fatal(err)
	}
	h.write("odk/KeyTable", strings.Replace(string(tables), "d00.example:s0:", "d00.example:changed:", 1))
	want := "mail from d00.example would be signed with d=d00.example s=changed, and is signed with d=d00.example s=s0"
	if said := h.mustFail(p, "--yes", "--accept-loss"); !strings.Contains(said, want) {
		t.Errorf("another selector:\n%s", said)
	}
	h.write("odk/KeyTable", string(tables))

	// Nobody can write the configuration, and then nobody reads it.
	said = h.failing(h.command("sh", append([]string{"-c", `mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"`,
		p.Etc, lab.Programs() + "/signpost"}, h.arguments(p, "--yes", "--accept-loss")...)...))
	if !strings.Contains(said, "read-only file system") || !strings.Contains(said, "everything is as it was") {
		t.Errorf("a configuration that cannot be written:\n%s", said)
	}
	h.mustBe(p, before, "after a read-only configuration")
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if said := h.mustFail(p, "--yes", "--accept-loss"); !strings.Contains(said, " reload: exit status 1") ||
		!strings.Contains(said, "everything is as it was") {
		t.Errorf("Postfix does not run:\n%s", said)
	}
	h.mustBe(p, before, "after a reload that failed")

	odk.Process.Kill()
	odk.Wait()
	if said := h.mustFail(p, "--dry-run"); !strings.Contains(said, "OpenDKIM does not answer at ") {
		t.Errorf("without OpenDKIM:\n%s", said)
	}
	if said := h.mustFail(p, "--back"); !strings.Contains(said, "there was no migration") {
		t.Errorf("back from nothing:\n%s", said)
	}
	// Postfix is stopped a second time when the test ends.
	if err := h.command("/usr/lib/postfix/sbin/master", "-c", p.Etc, "-w").Run(); err != nil {
		t.Fatal(err)
	}
}

// host is a world with OpenDKIM.
type host struct {
	*world
	openDKIM string               // where it listens, as main.cf has it
	want     map[string]signature // by author domain
}

// newHost writes the configuration of OpenDKIM for n domains, and one more that it signs
// with the name of the first.
func newHost(t *testing.T, n int) *host {
	h := &host{world: newWorld(t), want: make(map[string]signature)}
	h.openDKIM = "inet:" + h.net + ".9:8891"
	var keys []key
	for i := range 4 { // making one for each would take too long
		keys = append(keys, newKey(t, []string{"rsa", "rsa", "weak", "weak"}[i]))
	}
	var keyTable, signingTable strings.Builder
	for i := range n {
		domain, selector := fmt.Sprintf("d%02d.example", i), fmt.Sprintf("s%d", i%3)
		if i%5 == 4 {
			domain = "news." + fmt.Sprintf("d%02d.example", i-1)
		}
		file := []string{domain + "/" + selector + ".private", "flat/" + domain + ".pem",
			"deep/down/" + domain, "named by nobody/" + selector + "." + domain}[i%4]
		file = strings.ReplaceAll(file, " ", "-")
		path := filepath.Join(h.dir, "odk/keys", file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		h.write("odk/keys/"+file, string(keys[i%4].pem))
		h.want[domain] = rsaSignature(domain, selector)
		h.publishKey(keys[i%4], h.want[domain])
		fmt.Fprintf(&keyTable, "k%d %s:%s:%s\n", i, domain, selector, path)
		fmt.Fprintf(&signingTable, "*@%s k%d\n", domain, i)
	}
	signingTable.WriteString("*@guest.example k0\n*@*.d00.example k0\n")
	h.want["sub.d00.example"] = rsaSignature("d00.example", "s0")
	h.write("odk/KeyTable", keyTable.String())
	h.write("odk/SigningTable", signingTable.String())
	h.write("odk/opendkim.conf", fmt.Sprintf("Mode s\nSyslog no\nBackground no\nUMask 007\nRequireSafeKeys no\n"+
		"Canonicalization relaxed/simple\nSocket inet:8891@%s.9\nKeyTable file:%s/odk/KeyTable\n"+
		"SigningTable refile:%s/odk/SigningTable\nInternalHosts 127.0.0.0/8\n", h.net, h.dir, h.dir))
	return h
}

// startOpenDKIM runs it until the test ends.
func (h *host) startOpenDKIM() *exec.Cmd {
	h.t.Helper()
	cmd := h.command("opendkim", "-f", "-x", h.dir+"/odk/opendkim.conf")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { cmd.Process.Signal(syscall.SIGKILL); cmd.Wait() })
	await(h.t, "OpenDKIM to listen", func() bool {
		conn, err := net.Dial("tcp", h.net+".9:8891")
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return cmd
}

// otherMilter adds a field to each message.
type otherMilter struct{ gomilter.NoOpMilter }

func (otherMilter) EndOfMessage(m gomilter.Modifier) (*gomilter.Response, error) {
	return gomilter.RespAccept, m.AddHeader("X-Other", "seen")
}

// startOther runs a milter that does not sign, and returns its address.
func (h *host) startOther() string {
	h.t.Helper()
	ln, err := net.Listen("tcp", h.net+".10:8891")
	if err != nil {
		h.t.Fatal(err)
	}
	server := gomilter.NewServer(gomilter.WithMilter(func() gomilter.Milter { return otherMilter{} }),
		gomilter.WithAction(gomilter.OptAddHeader))
	go server.Serve(ln)
	h.t.Cleanup(func() { server.Close() })
	return "inet:" + ln.Addr().String()
}

// authors are all the domains that OpenDKIM signs for, and signpostd can.
func (h *host) authors() (domains []string) {
	for domain := range h.want {
		domains = append(domains, domain)
	}
	return domains
}

// arguments are those of signpost migrate for this host.
func (h *host) arguments(p *postfix, options ...string) []string {
	args := append([]string{"migrate", "--config-dir", p.Etc}, options...)
	for _, option := range options {
		if option == "--back" {
			return args
		}
	}
	return append(args, "--keys", h.keys, "--milter", h.milterAddr(), h.dir+"/odk/opendkim.conf")
}

// migrate runs it, and returns what it says; it must succeed.
func (h *host) migrate(p *postfix, options ...string) string {
	h.t.Helper()
	return h.run(lab.Programs()+"/signpost", h.arguments(p, options...)...)
}

func (h *host) mustFail(p *postfix, options ...string) string {
	h.t.Helper()
	return h.failing(h.companion(h.arguments(p, options...)...))
}

func (h *host) failing(cmd *exec.Cmd) string {
	h.t.Helper()
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		h.t.Fatalf("%v: %v, want exit code 1\n%s", cmd.Args, err, out)
	}
	return string(out)
}

// settings are those that migrate prints for signpostd.
func (h *host) settings(said string) (list []string) {
	h.t.Helper()
	_, block, _ := strings.Cut(said, "for the environment of signpostd:\n\n")
	for line := range strings.Lines(block) {
		if line == "\n" {
			break
		}
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "SIGNPOST_KEYS=") {
			list = append(list, strings.TrimSuffix(line, "\n"))
		}
	}
	if len(list) == 0 {
		h.t.Fatalf("there are no settings in\n%s", said)
	}
	return list
}

// configuration is everything that a migration might change.
func (h *host) configuration(p *postfix) string {
	h.t.Helper()
	out, err := exec.Command("sh", "-c", `cd "$0" && ls && cat main.cf master.cf`, p.Etc).CombinedOutput()
	if err != nil {
		h.t.Fatal(err)
	}
	return string(out)
}

// mustBe makes sure that nothing is changed, and no key copied.
func (h *host) mustBe(p *postfix, before, when string) {
	h.t.Helper()
	if now := h.configuration(p); now != before {
		h.t.Errorf("%s the configuration is\n%s\nwant\n%s", when, now, before)
	}
	if left, err := os.ReadDir(h.keys); err != nil || len(left) > 0 {
		h.t.Errorf("%s there are keys: %v %v", when, left, err)
	}
}

// sendmail sends a message as cron does.
func (h *host) sendmail(p *postfix, id string) {
	h.t.Helper()
	cmd := h.command("sendmail", "-C", p.Etc, "-f", "a@d01.example", "reader@rcpt.test")
	cmd.Stdin = bytes.NewReader(bytes.ReplaceAll(letter("a@d01.example", id), []byte("\r\n"), []byte("\n")))
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Fatalf("sendmail: %v\n%s", err, out)
	}
}
