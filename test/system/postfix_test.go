package system

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A postfix is a private Postfix instance with a stock configuration.
type postfix struct {
	w    *world
	etc  string // configuration folder
	addr string // where it takes mail: IP address and port
	log  string
}

// startPostfix runs a Postfix that submits to the milter (in Postfix's
// notation, or "" for none). Settings are further lines of main.cf; they win.
func (w *world) startPostfix(milter string, settings ...string) *postfix {
	w.t.Helper()
	base := filepath.Join(w.dir, "postfix")
	p := &postfix{w: w, etc: base + "/etc", addr: w.net + ".1:587", log: base + "/mail.log"}
	if err := os.MkdirAll(p.etc, 0o755); err != nil {
		w.t.Fatal(err)
	}
	w.makeQueue(base)
	lines := []string{
		"compatibility_level = 3.6",
		"config_directory = " + p.etc,
		"queue_directory = " + base + "/queue",
		"data_directory = " + base + "/data",
		"maillog_file = " + p.log,
		"maillog_file_prefixes = " + base,
		"myhostname = mta.test",
		"mydestination =",
		"alias_maps =",
		"alias_database =",
		"local_recipient_maps =",
		"local_transport = error:local delivery is disabled",
		"inet_interfaces = " + w.net + ".1", // explicit, else "mail loops back to myself"
		"inet_protocols = ipv4",
		"mynetworks = 127.0.0.0/8",
		"smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject",
		"smtpd_milters = " + milter,
		"non_smtpd_milters = $smtpd_milters",
		"milter_default_action = tempfail",
		"milter_protocol = 6",
		"smtp_tls_security_level = none",
		"header_size_limit = 4096000", // as the container images have it
		"message_size_limit = 0",
		"mailbox_size_limit = 0",
		"queue_run_delay = 2s",
		"minimal_backoff_time = 2s",
		"maximal_backoff_time = 2s",
	}
	lines = append(lines, settings...)
	mainCF := w.write("postfix/etc/main.cf", strings.Join(dropOverridden(lines), "\n")+"\n")
	// Postfix waits seconds for a main.cf that was changed just now.
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(mainCF, past, past); err != nil {
		w.t.Fatal(err)
	}
	w.write("postfix/etc/master.cf", masterCF+w.services)
	w.logs = append(w.logs, p.log)
	// As `postfix start` does in the end, after a hundred commands that check
	// and make what is made here already.
	w.run("/usr/lib/postfix/sbin/master", "-c", p.etc, "-w")
	w.t.Cleanup(p.stop)
	return p
}

// makeQueue makes the folders of an instance that has never run, as
// `postfix check` would.
func (w *world) makeQueue(base string) {
	w.t.Helper()
	owner, err := user.Lookup("postfix")
	if err != nil {
		w.t.Fatal(err)
	}
	group, err := user.LookupGroup("postdrop") // of postdrop(1) and postqueue(1)
	if err != nil {
		w.t.Fatal(err)
	}
	mail, _ := strconv.Atoi(owner.Uid)
	drop, _ := strconv.Atoi(group.Gid)
	makeFolder := func(name string, mode os.FileMode, uid, gid int) {
		path := filepath.Join(base, name)
		if err := errors.Join(os.Mkdir(path, mode), os.Chmod(path, mode), os.Chown(path, uid, gid)); err != nil {
			w.t.Fatal(err)
		}
	}
	makeFolder("data", 0o700, mail, 0)
	makeFolder("queue", 0o755, 0, 0)
	makeFolder("queue/pid", 0o755, 0, 0)
	for _, name := range strings.Fields("active bounce corrupt defer deferred flush hold incoming private saved trace") {
		makeFolder("queue/"+name, 0o700, mail, 0)
	}
	makeFolder("queue/maildrop", 0o730, mail, drop)
	makeFolder("queue/public", 0o710, mail, drop)
}

// reload makes the instance read its configuration again, some time soon.
func (p *postfix) reload() {
	p.w.t.Helper()
	if err := syscall.Kill(p.master(), syscall.SIGHUP); err != nil {
		p.w.t.Fatal(err)
	}
}

// master returns the process id of the master, which leads a process group of
// all its servers.
func (p *postfix) master() (pid int) {
	p.w.t.Helper()
	content, err := os.ReadFile(p.w.dir + "/postfix/queue/pid/master.pid")
	if err == nil {
		_, err = fmt.Sscan(string(content), &pid)
	}
	if err != nil {
		p.w.t.Fatalf("looking for Postfix: %v", err)
	}
	return pid
}

// dropOverridden leaves out the settings that a later line sets again.
// Postfix would take the last too, but warn of it.
func dropOverridden(lines []string) []string {
	name := func(line string) string { return strings.TrimSpace(strings.SplitN(line, "=", 2)[0]) }
	var kept []string
	for i, line := range lines {
		if !slices.ContainsFunc(lines[i+1:], func(later string) bool { return name(later) == name(line) }) {
			kept = append(kept, line)
		}
	}
	return kept
}

// stop ends the instance at once.
func (p *postfix) stop() {
	pid := p.master()
	syscall.Kill(-pid, syscall.SIGKILL)
	await(p.w.t, "the end of Postfix", func() bool { return syscall.Kill(-pid, 0) != nil })
}

// logged returns the lines of the log that contain all of the texts.
func (p *postfix) logged(texts ...string) []string { return grepFile(p.log, texts...) }

func grepFile(path string, texts ...string) []string {
	content, _ := os.ReadFile(path)
	var found []string
	for line := range strings.Lines(string(content)) {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// masterCF is the stock list of services, none of them in a chroot.
const masterCF = `
587        inet       n - n -     - smtpd
pickup     unix       n - n 60    1 pickup
cleanup    unix       n - n -     0 cleanup
qmgr       unix       n - n 300   1 qmgr
tlsmgr     unix       - - n 1000? 1 tlsmgr
rewrite    unix       - - n -     - trivial-rewrite
bounce     unix       - - n -     0 bounce
defer      unix       - - n -     0 bounce
trace      unix       - - n -     0 bounce
verify     unix       - - n -     1 verify
flush      unix       n - n 1000? 0 flush
proxymap   unix       - - n -     - proxymap
proxywrite unix       - - n -     1 proxymap
smtp       unix       - - n -     - smtp
relay      unix       - - n -     - smtp
showq      unix       n - n -     - showq
error      unix       - - n -     - error
retry      unix       - - n -     - error
discard    unix       - - n -     - discard
local      unix       - n n -     - local
anvil      unix       - - n -     1 anvil
scache     unix       - - n -     1 scache
postlog    unix-dgram n - n -     1 postlogd
`
