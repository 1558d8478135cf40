package system

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"signpost/test/lab"
)

// A confined daemon does all that it does otherwise: it signs, loads keys however they
// are changed, asks the DNS by UDP and TCP, serves its page, saves its state, and leaves
// nothing behind. What it gave up is tested beside the code.
func TestConfined(t *testing.T) {
	t.Parallel()
	w, want := newSigningWorld(t)
	w.makeRunDir()
	state, page := stateDir(t), "http://"+w.net+".8:8892"
	socket := filepath.Join(w.dir, "run/milter")
	d := w.startDaemon("--confine=require", "--state="+state, "--http="+w.net+".8:8892",
		"--listen="+w.milterAddr()+",unix:"+socket)
	for _, thread := range d.threads() {
		for _, mark := range []string{"NoNewPrivs:\t1", "Seccomp:\t2"} {
			if !strings.Contains(thread, mark) {
				t.Errorf("a thread is without %q", mark)
			}
		}
	}
	w.run("sh", "-c", fmt.Sprintf("! setpriv --reuid %d --regid %[1]d --clear-groups cat /proc/%d/environ",
		daemonUser, d.cmd.Process.Pid))
	p := w.startPostfix(w.milterAddr())
	send := func(domain string, want signature) {
		t.Helper()
		id := want.selector + "-" + domain
		p.mustSubmit("a@"+domain, "reader@rcpt.test", letter("a@"+domain, id))
		w.mustVerifyAll([]signedMessage{{w.awaitDelivery(id), []signature{want}}})
	}
	send("example.org", want)

	// Another directory in place of the key directory, with one domain more.
	other := rsaSignature("other.example", "mail")
	k := newKey(t, "rsa")
	w.publishKey(k, other)
	old := w.keys
	w.keys += ".new"
	w.dropKey("other.example.private", k)
	if err := errors.Join(os.Link(old+"/example.org.private", w.keys+"/example.org.private"),
		os.Rename(old, old+".old"), os.Rename(w.keys, old)); err != nil {
		t.Fatal(err)
	}
	w.keys = old
	await(t, "the new directory", func() bool { return len(d.logged(`msg="key added"`, "other.example")) > 0 })
	send("other.example", other)

	// A record that is too long for UDP.
	next := rsaSignature("example.org", "next")
	k = newKey(t, "rsa")
	notes := strings.Repeat(` "`+strings.Repeat("x", 240)+`"`, 6)
	w.dns.Publish(t, "next._domainkey.example.org", k.record+` "; n="`+notes)
	w.dropKey("example.org/next.private", k)
	await(t, "the DNS by TCP", func() bool { return len(d.logged(`msg="signing keys changed"`, "next")) > 0 })
	send("example.org", next)

	d.signal(syscall.SIGHUP)
	await(t, "the reload", func() bool { return len(d.logged("keys reloaded")) > 0 })
	response, err := http.Get(page + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := io.ReadAll(response.Body)
	response.Body.Close()
	for _, name := range []string{"process_open_fds", "process_resident_memory_bytes", "process_start_time_seconds"} {
		if err != nil || !strings.Contains(string(metrics), "\n"+name+" ") {
			t.Errorf("error %v, no %s in the metrics", err, name)
		}
	}

	d.kill(syscall.SIGTERM)
	if _, err := os.Lstat(socket); err == nil {
		t.Error("the unix socket is left behind")
	}
	if saved, err := os.ReadFile(stateFile(t, state)); !strings.Contains(string(saved), "key example.org next ") {
		t.Errorf("error %v, saved %q", err, saved)
	}
	if found := d.logged("denied"); len(found) > 0 {
		t.Errorf("the log says %s", found[0])
	}
}

// threads returns what the kernel says of each thread.
func (d *daemon) threads() (status []string) {
	d.t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", d.cmd.Process.Pid))
	if err != nil || len(files) == 0 {
		d.t.Fatalf("error %v, threads %q", err, files)
	}
	for _, file := range files {
		status = append(status, strings.Join(lab.Lines(file), "\n"))
	}
	return status
}
