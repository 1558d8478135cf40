package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"signpost/keystore/finding"
)

// A Postfix is a private instance.
type Postfix struct {
	Etc   string // configuration folder
	Queue string
	Log   string // path of its log file
}

// A Command makes a command to run, as exec.Command does.
type Command func(name string, args ...string) *exec.Cmd

// StartPostfix makes an instance in the folder base and
// starts it by command. Services are lines of master.cf beside the stock ones,
// which take no mail by SMTP. Settings are further lines of main.cf; they win.
func StartPostfix(base string, command Command, services string, settings ...string) (*Postfix, error) {
	p := &Postfix{Etc: base + "/etc", Queue: base + "/queue", Log: base + "/mail.log"}
	if err := makeFolders(base); err != nil {
		return nil, err
	}
	lines := append([]string{
		"compatibility_level = 3.6",
		"config_directory = " + p.Etc,
		"queue_directory = " + p.Queue,
		"data_directory = " + base + "/data",
		"maillog_file = " + p.Log,
		"maillog_file_prefixes = " + base,
		"myhostname = mta.test",
		"mydestination =",
		"alias_maps =",
		"alias_database =",
		"local_recipient_maps =",
		"local_transport = error:local delivery is disabled",
		"inet_interfaces = 127.0.0.1", // explicit, else "mail loops back to myself"
		"inet_protocols = ipv4",
		"mynetworks = 127.0.0.0/8",
		"smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject",
		"milter_default_action = tempfail",
		"smtp_tls_security_level = none",
	}, settings...)
	mainCF := p.Etc + "/main.cf"
	err := errors.Join(
		os.WriteFile(mainCF, []byte(strings.Join(dropOverridden(lines), "\n")+"\n"), 0o644),
		p.SetServices(services))
	if err != nil {
		return nil, err
	}
	// Postfix waits seconds for a main.cf that was changed just now.
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(mainCF, past, past); err != nil {
		return nil, err
	}
	// As `postfix start` does in the end, after a hundred commands that check
	// and make what is made here already.
	if out, err := command("/usr/lib/postfix/sbin/master", "-c", p.Etc, "-w").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("starting Postfix: %w\n%s", err, out)
	}
	return p, nil
}

// SetServices writes master.cf: the stock services and others.
func (p *Postfix) SetServices(others string) error {
	return os.WriteFile(p.Etc+"/master.cf", []byte(masterCF+others), 0o644)
}

// makeFolders makes the folders of an instance that has never run, as
// `postfix check` would.
func makeFolders(base string) error {
	owner, err := user.Lookup("postfix")
	if err != nil {
		return finding.WithHint(err, "run make setup")
	}
	group, err := user.LookupGroup("postdrop") // of postdrop(1) and postqueue(1)
	if err != nil {
		return err
	}
	mail, _ := strconv.Atoi(owner.Uid)
	drop, _ := strconv.Atoi(group.Gid)
	var errs error
	makeFolder := func(name string, mode os.FileMode, uid, gid int) {
		path := filepath.Join(base, name)
		errs = errors.Join(errs, os.MkdirAll(path, mode), os.Chmod(path, mode), os.Chown(path, uid, gid))
	}
	makeFolder("", 0o755, 0, 0)
	makeFolder("etc", 0o755, 0, 0)
	makeFolder("data", 0o700, mail, 0)
	makeFolder("queue", 0o755, 0, 0)
	makeFolder("queue/pid", 0o755, 0, 0)
	for _, name := range strings.Fields("active bounce corrupt defer deferred flush hold incoming private saved trace") {
		makeFolder("queue/"+name, 0o700, mail, 0)
	}
	makeFolder("queue/maildrop", 0o730, mail, drop)
	makeFolder("queue/public", 0o710, mail, drop)
	return errs
}

// dropOverridden leaves out the settings that a later line sets again. Postfix
// would take the last too, but warn of it.
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

// Reload makes the instance read its configuration again, some time soon.
func (p *Postfix) Reload() error {
	pid, err := p.master()
	if err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.SIGHUP)
}

// Stop ends the instance at once.
func (p *Postfix) Stop() error {
	pid, err := p.master()
	if err != nil {
		return err
	}
	syscall.Kill(-pid, syscall.SIGKILL)
	if !Wait(time.Minute, func() bool { return syscall.Kill(-pid, 0) != nil }) {
		return errors.New("Postfix does not end")
	}
	return nil
}

// master returns the process id of the master, which leads a process group of
// all its servers.
func (p *Postfix) master() (pid int, err error) {
	content, err := os.ReadFile(p.Queue + "/pid/master.pid")
	if err == nil {
		_, err = fmt.Sscan(string(content), &pid)
	}
	return pid, err
}

// Logged returns the lines of the log that contain all of the texts.
func (p *Postfix) Logged(texts ...string) []string { return Lines(p.Log, texts...) }

// Lines returns the lines of a file that contain all of the texts.
func Lines(path string, texts ...string) (found []string) {
	content, _ := os.ReadFile(path)
	for line := range strings.Lines(string(content)) {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// masterCF is the stock list of services but for smtpd, none of them in a chroot.
const masterCF = `
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
