package release_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	gomilter "github.com/d--j/go-milter"
	"github.com/emersion/go-msgauth/dkim"

	"signpost/test/lab"
	"signpost/test/lab/testlog"
)

const message = "From: News <news@example.org>\r\nTo: reader@example.net\r\nSubject: other machines\r\n" +
	"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nfor another architecture\r\n"

// The programs for another architecture make a key, sign with it by libcrypto and by Go, verify, and
// say what they are. Under qemu there is neither Landlock nor seccomp, and --confine auto signs all the same.
func TestOtherArchitectureSigns(t *testing.T) {
	t.Parallel()
	programs := unpack(t, mustMake(t)[0], other)
	keys := t.TempDir()
	run := func(program string, args ...string) string {
		t.Helper()
		cmd := exec.Command(emulator, append([]string{filepath.Join(programs, program)}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v\n%s", program, args, err, out)
		}
		return string(out)
	}
	said := "version " + version + " (0123456789, 2023-11-14)"
	if out := run("signpost", "--version"); !strings.Contains(out, said+"\n") {
		t.Errorf("signpost says %q, want %q", out, said)
	}
	if out := run("signpostd", "--version"); !strings.Contains(out, said+", RSA by OpenSSL 3.") {
		t.Errorf("signpostd says %q, want %q", out, said)
	}
	run("signpost", "keygen", "--keys", keys, "--type", "both", "--selector", "s1", "example.org")

	d := startDaemon(t, filepath.Join(programs, "signpostd"), "--keys", keys, "--dns-check", "off")
	if !strings.Contains(d.String(), `msg="confined in part" landlock=0 seccomp=false`) {
		t.Errorf("it does not say that it is not confined:\n%s", d)
	}
	signed := sign(t, d.socket) + message
	file := filepath.Join(t.TempDir(), "message.eml")
	if err := os.WriteFile(file, []byte(signed), 0o644); err != nil {
		t.Fatal(err)
	}
	verifyElsewhere(t, keys, file, signed)
	passes := "DKIM: pass: example.org, selector s1, rsa-sha256"
	if out := run("signpost", "verify", "--keys", keys, file); !strings.Contains(out, passes) {
		t.Errorf("signpost verify says\n%s", out)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(signed, "for another", "for an other", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(emulator, filepath.Join(programs, "signpost"), "verify", "--keys", keys, file).
		CombinedOutput(); err == nil || !strings.Contains(string(out), "the body was changed") {
		t.Errorf("a changed message: error %v\n%s", err, out)
	}
}

// verifyElsewhere asks go-msgauth and dkimpy of every signature.
func verifyElsewhere(t *testing.T, keys, file, signed string) {
	t.Helper()
	record := func(name string) ([]string, error) {
		selector, _, _ := strings.Cut(name, ".")
		text, err := os.ReadFile(filepath.Join(keys, "example.org", selector+".txt"))
		parts := strings.Split(string(text), `"`)
		var value strings.Builder
		for i := 1; i < len(parts); i += 2 {
			value.WriteString(parts[i])
		}
		return []string{value.String()}, err
	}
	verifications, err := dkim.VerifyWithOptions(strings.NewReader(signed), &dkim.VerifyOptions{LookupTXT: record})
	if err != nil || len(verifications) != 2 {
		t.Fatalf("error %v, %d signatures, want 2, in\n%s", err, len(verifications), signed)
	}
	for _, v := range verifications {
		if v.Err != nil || v.Domain != "example.org" {
			t.Errorf("go-msgauth: d=%s: %v", v.Domain, v.Err)
		}
	}
	const script = `import sys, dkim
def record(name, timeout=5):
    text = open(sys.argv[2] + '/' + name.decode().split('.')[0] + '.txt').read()
    return ''.join(text.split('"')[1::2]).encode()
signed = dkim.DKIM(open(sys.argv[1], 'rb').read())
print([signed.verify(idx=i, dnsfunc=record) for i in (0, 1)])`
	if out, err := exec.Command("/usr/bin/python3", "-c", script, file, filepath.Join(keys, "example.org")).
		CombinedOutput(); err != nil || string(out) != "[True, True]\n" {
		t.Errorf("dkimpy: error %v\n%s", err, out)
	}
}

// sign offers the message as an MTA does, and returns the fields that are added.
func sign(t *testing.T, socket string) (fields string) {
	t.Helper()
	client := gomilter.NewClient("unix", socket,
		gomilter.WithReadTimeout(time.Minute), gomilter.WithWriteTimeout(time.Minute))
	macros := gomilter.NewMacroBag()
	macros.Set(gomilter.MacroQueueId, "4TEST")
	session, err := client.Session(macros)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	must := func(_ *gomilter.Action, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	header, body, _ := strings.Cut(message, "\r\n\r\n")
	must(session.Conn("localhost", gomilter.FamilyInet, 25, "127.0.0.1"))
	must(session.Helo("localhost"))
	must(session.Mail("news@example.org", ""))
	must(session.Rcpt("reader@example.net", ""))
	must(session.DataStart())
	for field := range strings.SplitSeq(header, "\r\n") {
		name, value, _ := strings.Cut(field, ":")
		must(session.HeaderField(name, value, nil))
	}
	must(session.HeaderEnd())
	must(session.BodyChunk([]byte(body)))
	added, action, err := session.End()
	if err != nil || action.Type != gomilter.ActionAccept {
		t.Fatalf("error %v, action %v", err, action)
	}
	for _, a := range added {
		lines := strings.ReplaceAll(a.HeaderValue, "\r\n", "\n")
		fields += a.HeaderName + ":" + strings.ReplaceAll(lines, "\n", "\r\n") + "\r\n"
	}
	return fields
}

// A daemon is a signpostd under the emulator, and its log.
type daemon struct {
	testlog.Log
	socket string
}

func startDaemon(t *testing.T, program string, args ...string) *daemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "signpost-") // a short path, for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &daemon{socket: filepath.Join(dir, "milter")}
	cmd := exec.Command(emulator, append([]string{program, "--listen", "unix:" + d.socket}, args...)...)
	cmd.Stdout, cmd.Stderr = d, d
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v\n%s", err, d)
		}
	})
	if !lab.Wait(time.Minute, func() bool { return strings.Contains(d.String(), "msg=listening") }) {
		t.Fatalf("it does not listen:\n%s", d)
	}
	return d
}
