package lab

import (
	"bufio"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"signpost/keystore/finding"
)

// A Network has hosts, each with namespaces of its own: network, processes, mounts, name.
// The private world is one of them, at the address Outside.
type Network struct {
	Outside string // 10.77.N.1
	bridge  string
}

// NewNetwork makes the network 10.77.n.0/24.
func NewNetwork(n int) (*Network, error) {
	network := &Network{Outside: fmt.Sprintf("10.77.%d.1", n), bridge: fmt.Sprintf("lab%d", n)}
	// Without an Ethernet address of its own the bridge has that of one of the hosts, and
	// another one when that goes.
	return network, ip(fmt.Sprintf("link add %s address 02:4c:41:42:00:%02x type bridge", network.bridge, n),
		"address add "+network.Outside+"/24 dev "+network.bridge,
		"link set "+network.bridge+" up")
}

// Close takes the network away.
func (n *Network) Close() error { return ip("link del " + n.bridge) }

// Also gives the private world a further address in the network.
func (n *Network) Also(last int) (address string, err error) {
	address = n.Address(last)
	return address, ip("address add " + address + "/24 dev " + n.bridge)
}

// Address is 10.77.N.last.
func (n *Network) Address(last int) string {
	return strings.TrimSuffix(n.Outside, ".1") + "." + strconv.Itoa(last)
}

// A Host is a machine of its own, with a name, but for its files.
type Host struct {
	Address string
	first   *exec.Cmd // its process 1
}

// StartHost starts a host at address last of the network, which has the file in the place of
// /etc/resolv.conf. A host that was killed may be started anew.
func (n *Network) StartHost(last int, resolvConf string) (*Host, error) {
	h := &Host{Address: n.Address(last)}
	// The shell reaps what the servers leave behind.
	h.first = exec.Command("sh", "-c",
		`mount -t proc proc /proc && mount --bind "$0" /etc/resolv.conf && hostname "$1" && echo up && sleep infinity; exit`,
		resolvConf, fmt.Sprintf("host%d", last))
	h.first.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:   syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS,
		Unshareflags: syscall.CLONE_NEWNS,
	}
	out, err := h.first.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := h.first.Start(); err != nil {
		return nil, err
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "up\n" {
		h.Kill()
		return nil, fmt.Errorf("a host says %q: %v", line, err)
	}
	cable := fmt.Sprintf("%s.%d", n.bridge, last)
	err = ip(fmt.Sprintf("link add %s type veth peer name eth0 netns %d", cable, h.first.Process.Pid),
		"link set "+cable+" master "+n.bridge+" up")
	for _, inside := range []string{"link set lo up", "address add " + h.Address + "/24 dev eth0", "link set eth0 up"} {
		if err == nil {
			err = run(h.Command("ip", strings.Fields(inside)...))
		}
	}
	if err != nil {
		h.Kill()
		return nil, err
	}
	return h, nil
}

// Command makes a command that runs on the host, as exec.Command does. Signals do not reach it.
func (h *Host) Command(name string, args ...string) *exec.Cmd {
	enter := []string{"--target", strconv.Itoa(h.first.Process.Pid), "--net", "--mount", "--pid", "--uts", "--", name}
	return exec.Command("nsenter", append(enter, args...)...)
}

// Kill ends every process of the host at once, and returns when there is none.
func (h *Host) Kill() {
	h.first.Process.Kill()
	h.first.Wait()
}

// ip runs ip(8) with each of the arguments.
func ip(calls ...string) error {
	for _, args := range calls {
		if err := run(exec.Command("ip", strings.Fields(args)...)); err != nil {
			return err
		}
	}
	return nil
}

func run(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return finding.WithHint(fmt.Errorf("%s: %w %s", strings.Join(cmd.Args, " "), err, out), "install iproute2 and util-linux")
	}
	return nil
}
