package host_test

import (
	"debug/elf"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// makePackages makes packages of an architecture in two versions, and returns their paths.
func makePackages(t *testing.T, arch string, versions ...string) (packages []string) {
	t.Helper()
	dir := t.TempDir()
	inRoot(t, []string{"CGO_ENABLED=0", "GOARCH=" + arch}, "go", "build", "-trimpath", "-buildvcs=false", "-tags",
		"urfave_cli_no_docs", "-ldflags", "-s -w -X main.version="+versions[0], "-o", dir+"/", "./cmd/signpost", "./cmd/signpostd")
	for _, version := range versions {
		inRoot(t, []string{"VERSION=" + version, "PACKAGERS=deb"}, "sh", "docker/debian/package.sh", arch, dir, dir)
		packages = append(packages, filepath.Join(dir, "signpost_"+version+"_"+arch+".deb"))
	}
	return packages
}

// sameAgain makes a package again, which comes out the same byte by byte, whenever and
// wherever that is.
func sameAgain(t *testing.T, deb string) {
	t.Helper()
	programs, dir := filepath.Dir(deb), t.TempDir()
	inRoot(t, nil, "touch", programs+"/signpost", programs+"/signpostd")
	inRoot(t, []string{"VERSION=0.1", "PACKAGERS=deb"}, "sh", "docker/debian/package.sh", runtime.GOARCH, programs, dir)
	inRoot(t, nil, "cmp", deb, filepath.Join(dir, filepath.Base(deb)))
}

// Both hosts have the same packages.
func TestHost(t *testing.T) {
	t.Parallel()
	packages := makePackages(t, runtime.GOARCH, "0.1", "0.2")
	docker := buildImage(t)
	t.Run("package", func(t *testing.T) {
		t.Parallel()
		sameAgain(t, packages[0])
		startHost(t, docker, "package").walk(packages)
	})
	t.Run("migrate", func(t *testing.T) {
		t.Parallel()
		startHost(t, docker, "migrate").migrate(packages[0])
	})
}

// An administrator installs the package, makes a key and runs the one command that is
// printed. Restarts and upgrades under load cost nobody a message, and what is removed is
// gone, but for the keys.
func (h *host) walk(packages []string) {
	h.copy(packages[0], "/lab/1.deb")
	h.copy(packages[1], "/lab/2.deb")
	h.startLab()

	began := time.Now()
	printed := h.run("dpkg --force-confold -i /lab/1.deb")
	command := line(printed, "postconf -e ")
	h.run("signpost keygen --selector one example.org")
	h.publish("/etc/opendkim/keys", "example.org", "one")
	h.run(command)
	h.run("smtp-source -f a@example.org -t b@rcpt.test 127.0.0.1:25")
	h.received(1, "one")
	h.Logf("from dpkg -i to the first signed message: %v", time.Since(began).Round(time.Millisecond))
	h.run(`printf 'Subject: x\n\nx\n' | sendmail -f a@example.org -F A b@rcpt.test`)
	h.received(1, "one")
	if out := h.run("signpost postfix check --milter unix:signpost/milter || true"); strings.Contains(out, "chroot") {
		h.Errorf("postfix check: %s", out)
	}
	h.run("signpost health --socket unix:/var/spool/postfix/signpost/milter")
	h.Log(h.run("grep VmRSS /proc/$(systemctl show -P MainPID signpostd)/status"))

	// signpostd makes the keys that are missing, where it is told to.
	h.run(`cp /etc/default/signpostd /lab/default; echo SIGNPOST_AUTOGENERATE=yes SIGNPOST_DOMAINS=made.example | tr ' ' '\n' >>/etc/default/signpostd
		systemctl restart signpostd; cd /etc/opendkim/keys; rm made.example.private made.example.txt
		mv /lab/default /etc/default/signpostd; systemctl restart signpostd`)

	h.run("systemd-analyze security --no-pager --threshold=15 signpostd")
	h.run("journalctl -u signpostd | grep -E 'msg=confined landlock=[1-9].*seccomp=true'")
	h.await("status", `test "$(systemctl show -P StatusText signpostd)" = "signs for 1 domain"`)
	h.run("systemctl reload signpostd; systemctl is-active signpostd")
	h.await("reload", `journalctl -u signpostd | grep 'msg="keys reloaded" domains=1'`)

	// Whatever starts first: the socket is there, and a connection starts signpostd.
	h.run("systemctl stop signpostd.service; smtp-source -f a@example.org -t b@rcpt.test 127.0.0.1:25")
	h.received(1, "one")

	// Settings that are wrong cost no socket: mail waits, and goes on when they are right.
	h.run(`echo SIGNPOST_RESCAN=x >>/etc/default/signpostd; ! systemctl restart signpostd 2>&1
		systemctl is-active signpostd.socket; sed -i '$d' /etc/default/signpostd
		smtp-source -f a@example.org -t b@rcpt.test 127.0.0.1:25`)
	h.received(1, "one")

	h.load()
	h.crowd()
	h.upgrade()
	h.remove()
}

// line returns the line that begins so.
func line(text, prefix string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			return strings.TrimSpace(line)
		}
	}
	return "echo 'not printed: " + prefix + "'; exit 1"
}

// publish puts the record of a key into the DNS.
func (h *host) publish(keys, domain, selector string) {
	h.Helper()
	h.run(`name=` + selector + `._domainkey.` + domain + `
		value=$(tr -d '\n' <` + keys + `/` + domain + `/` + selector + `.txt | grep -o '"[^"]*"' | tr -d '"\n')
		echo "$name $value" >>/lab/zone`)
}

// received waits for messages at the receiver, which are all signed by the key and are
// verified by dkimpy, and takes them away.
func (h *host) received(messages int, selector string) {
	h.Helper()
	h.await("delivery", fmt.Sprintf(`mailq | grep 'queue is empty'; [ "$(ls /lab/mail | wc -l)" -ge %d ] || { ls /lab/mail | wc -l; false; }`, messages))
	got := h.run("python3 /lab/verify.py | sort | uniq -c; rm -f /lab/mail/*")
	if want := fmt.Sprint(messages, " ", selector); got != want {
		h.Errorf("received %q, want %q", got, want)
	}
}

// load restarts and upgrades signpostd while twenty clients send one message after
// another, and others wait in the middle of a session. Nobody hears of it.
func (h *host) load() {
	h.Helper()
	const messages, restarts = 400, 3
	h.run("dpkg --force-confold --unpack /lab/2.deb")
	h.run(`systemd-run -q --unit slow -p Type=exec python3 /lab/slow.py`)
	h.await("sessions", "test -e /lab/waiting")
	h.run(fmt.Sprintf(`systemd-run -q --unit load -p Type=exec smtp-source -d -w 1 -s 20 -m %d -f a@example.org -t b@rcpt.test 127.0.0.1:25`, messages))
	for i := range restarts {
		h.await("messages", fmt.Sprintf(`[ "$(ls /lab/mail | wc -l)" -ge %d ]`, 1+50*(i+1)))
		h.run("systemctl restart signpostd")
	}
	h.run("dpkg --force-confold --configure signpost; systemctl is-active load; touch /lab/go")
	for _, unit := range []string{"load", "slow"} {
		h.await(unit, "! systemctl is-active "+unit)
		h.run("! systemctl is-failed " + unit)
	}
	h.received(messages+4, "one")
	h.run("! journalctl -u 'postfix*' | grep -E 'milter-reject|: 451 '")
	h.await("handed over", fmt.Sprintf(`[ "$(journalctl -u signpostd | grep -c 'msg="sessions go on" sessions=2[0-9]')" -ge %d ]`, restarts+1))
}

// crowd restarts signpostd with as many sessions as systemd may keep.
func (h *host) crowd() {
	h.Helper()
	h.run(`echo SIGNPOST_MAX_PEER_CONNECTIONS=1000 >>/etc/default/signpostd; systemctl restart signpostd
		systemd-run -q --unit crowd -p Type=exec -p LimitNOFILE=2000 python3 /lab/crowd.py`)
	h.await("sessions", "test -e /lab/crowded")
	h.run("systemctl restart signpostd; sed -i '$d' /etc/default/signpostd; touch /lab/disperse")
	h.await("crowd", "! systemctl is-active crowd")
	h.run("! systemctl is-failed crowd; systemctl restart signpostd")
}

// upgrade goes on with what was known of the keys: the newest signs, though the DNS does
// not answer, and without that knowledge the oldest would.
func (h *host) upgrade() {
	h.Helper()
	h.run("signpost keygen --now --selector two example.org")
	h.publish("/etc/opendkim/keys", "example.org", "two")
	h.run("systemctl reload signpostd")
	h.await("the second key", `journalctl -u signpostd | grep 'msg="signing keys changed".*now=two'`)
	h.await("state", "grep -r two /var/lib/signpost")
	h.run("systemctl stop lab-dns; dpkg --force-confold -i /lab/1.deb; systemctl start lab-dns")
	h.run("smtp-source -f a@example.org -t b@rcpt.test 127.0.0.1:25")
	h.received(1, "two")
	if out := h.run("dpkg-query -W -f '${Version}' signpost; cat /etc/default/signpostd"); !strings.HasPrefix(out, "0.1SIGNPOST_RESOLVER=") {
		h.Errorf("got %q", out)
	}
}

// remove leaves nothing but the keys. What is installed before Postfix works when that is
// there.
func (h *host) remove() {
	h.Helper()
	keys := "cd /etc/opendkim/keys && find . -type f -exec sha256sum {} + | sort"
	before := h.run(keys)
	back := line(h.run("dpkg -r signpost"), "postconf -X ")
	h.run(back)
	h.run(`! pgrep -u signpost; ! systemctl cat signpostd.service 2>&1; ! systemctl cat signpostd.socket 2>&1
		! test -e /var/spool/postfix/signpost/milter; test -e /etc/default/signpostd; test -e /var/lib/signpost
		[ "$(postconf -h smtpd_milters)" = "" ]`)
	h.run("dpkg -P signpost")
	left := h.run("find / -xdev -iname '*signpost*' -not -path '/proc/*' -not -path '/sys/*' -not -path '/tmp/*'")
	if left != "" {
		h.Errorf("left behind: %s", left)
	}
	if after := h.run(keys); after != before || !strings.Contains(after, "two.private") {
		h.Errorf("keys are %s, were %s", after, before)
	}

	h.run(`dpkg -P postfix; dpkg --force-confold -i /lab/2.deb; systemctl is-active signpostd.service
		! systemctl is-active signpostd.socket`)
	h.run("DEBIAN_FRONTEND=noninteractive dpkg -i /debs/postfix*.deb")
	h.await("socket", `systemctl is-active signpostd.socket signpostd.service; ! systemctl is-failed signpostd.socket
		test "$(stat -c %U:%a /var/spool/postfix/signpost/milter)" = postfix:660`)
	h.run("signpost health --socket unix:/var/spool/postfix/signpost/milter")
}

// The package for the other architecture has the same files, and programs of its own.
func TestOtherArchitecture(t *testing.T) {
	t.Parallel()
	arch, machine := "arm64", elf.EM_AARCH64
	if runtime.GOARCH == arch {
		arch, machine = "amd64", elf.EM_X86_64
	}
	deb := makePackages(t, arch, "0.1")[0]
	if got := strings.TrimSpace(inRoot(t, nil, "dpkg-deb", "-f", deb, "Architecture")); got != arch {
		t.Errorf("architecture %q", got)
	}
	dir := t.TempDir()
	inRoot(t, nil, "dpkg-deb", "-x", deb, dir)
	for _, program := range []string{"usr/bin/signpost", "usr/sbin/signpostd"} {
		file, err := elf.Open(filepath.Join(dir, program))
		if err != nil {
			t.Fatal(err)
		}
		file.Close()
		if file.Machine != machine {
			t.Errorf("%s is for %v", program, file.Machine)
		}
	}
	for _, file := range []string{
		"etc/default/signpostd", "usr/lib/systemd/system/signpostd.service", "usr/lib/systemd/system/signpostd.socket",
		"usr/lib/sysusers.d/signpost.conf", "usr/share/man/man1/signpost.1.gz", "usr/share/man/man8/signpostd.8.gz",
		"usr/share/bash-completion/completions/signpost", "usr/share/zsh/vendor-completions/_signpost",
		"usr/share/fish/vendor_completions.d/signpost.fish", "usr/share/doc/signpost/README.md",
		"usr/share/doc/signpost/copyright",
	} {
		inRoot(t, nil, "test", "-s", filepath.Join(dir, file))
	}
}
