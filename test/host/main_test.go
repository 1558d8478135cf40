// Package host_test installs the Debian package on a host whose process 1 is systemd, in a
// container, with Debian's Postfix, and looks at the mail that comes out.
//
// A container engine is needed, as for test/compose; SIGNPOST_NO_CONTAINERS=1 says that
// these tests are not wanted.
package host_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const image = "signpost-test-host"

// host is a container with systemd.
type host struct {
	*testing.T
	docker, name string
}

func TestMain(m *testing.M) {
	if os.Getenv("SIGNPOST_NO_CONTAINERS") == "1" {
		fmt.Println("host: CONTAINER TESTS NOT RUN, because SIGNPOST_NO_CONTAINERS=1")
		return
	}
	os.Exit(m.Run())
}

// inRoot runs a command where the Makefile is, and returns its output.
func inRoot(t *testing.T, environment []string, name string, args ...string) string {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = filepath.Join("..", "..")
	c.Env = append(os.Environ(), environment...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// buildImage makes the image of hosts, and returns the engine.
func buildImage(t *testing.T) (docker string) {
	t.Helper()
	docker = strings.TrimSpace(inRoot(t, nil, "sh", "-c",
		`. docker/engine.sh; find_engine >&2 && sh docker/base.sh >&2 && echo "$docker"`))
	docker = docker[strings.LastIndexByte(docker, '\n')+1:]
	inRoot(t, []string{"DOCKER_BUILDKIT=0"}, docker, "build", "-q", "-t", image, "test/host")
	return docker
}

// startHost starts one with what systemd needs: to mount, and no filter of system calls
// other than its own.
func startHost(t *testing.T, docker, name string) *host {
	t.Helper()
	h := &host{T: t, docker: docker, name: fmt.Sprintf("signpost-test-host-%d-%s", os.Getpid(), name)}
	inRoot(t, nil, docker, "run", "-d", "--name", h.name, "--hostname", h.name, "--network", "none",
		"--cap-add", "SYS_ADMIN", "--cgroupns", "private", "--security-opt", "seccomp=unconfined",
		"--security-opt", "apparmor=unconfined", "--tmpfs", "/run", "--tmpfs", "/tmp", image)
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := exec.Command(docker, "exec", h.name, "journalctl", "--no-pager", "-u", "signpostd", "-u", "opendkim", "-u", "slow", "-u", "load", "-g", "level=(WARN|ERROR)|sessions|stopped|Error|python|smtp-source", "-n", "80").CombinedOutput()
			t.Logf("%s", out)
		}
		inRoot(t, nil, docker, "rm", "-f", h.name)
		// Where containers have no cgroup of version 2, its own is left behind empty.
		_ = exec.Command("find", "/sys/fs/cgroup/unified/"+h.name, "-depth", "-type", "d", "-delete").Run()
	})
	h.await("systemd", "systemctl is-active multi-user.target postfix")
	return h
}

// run runs a script on the host, and returns its output.
func (h *host) run(script string) string {
	h.Helper()
	out, err := h.try(script)
	if err != nil {
		h.Fatalf("%s: %v\n%s", script, err, out)
	}
	return out
}

func (h *host) try(script string) (string, error) {
	out, err := exec.Command(h.docker, "exec", h.name, "sh", "-euc", script).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// await waits until a script succeeds.
func (h *host) await(what, script string) {
	h.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		out, err := h.try(script)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			h.Fatalf("%s: %s", what, out)
		}
	}
}

// startLab starts a DNS server and a receiver of mail, to which Postfix relays everything.
func (h *host) startLab() {
	h.Helper()
	h.run(`mkdir -m 777 /lab/mail; touch /lab/zone
		printf '[Service]\nExecStart=python3 -u /lab/nameserver.py\n' >/run/systemd/system/lab-dns.service
		printf '[Service]\nWorkingDirectory=/lab/mail\nExecStart=smtp-sink -u nobody -d m. 127.0.0.1:2526 500\n' \
			>/run/systemd/system/lab-sink.service
		systemctl daemon-reload; systemctl start lab-dns lab-sink
		mkdir -p /etc/default; printf 'SIGNPOST_RESOLVER=127.0.0.1:5353\nSIGNPOST_CONFINE=require\n' >/etc/default/signpostd
		postconf -e 'relayhost=[127.0.0.1]:2526' smtpd_client_connection_count_limit=0`)
}

// copy puts a file onto the host.
func (h *host) copy(file, to string) {
	h.Helper()
	inRoot(h.T, nil, h.docker, "cp", file, h.name+":"+to)
}
